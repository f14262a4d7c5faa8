#include "optimize/outputs.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "base/json_writer.h"
#include "base/text.h"
#include "optimize/quote.h"
#include "optimize/registry.h"

namespace velollm::optimize {
namespace {

struct Named {
    Format format;
    std::string_view name;
    std::string_view file;
    std::string_view ending;  ///< of a file that is meant for it
};
constexpr std::array<Named, 11> kFormats = {{{Format::kText, "text", "plan.txt", ".txt"},
                                             {Format::kEnv, "env", "velollm.sh", ".sh"},
                                             {Format::kFish, "fish", "velollm.fish", ".fish"},
                                             {Format::kSystemd, "systemd", "90-velollm.conf", ".conf"},
                                             {Format::kLaunchd, "launchd", "velollm-launchd.sh", "-launchd.sh"},
                                             {Format::kPowershell, "powershell", "velollm.ps1", ".ps1"},
                                             {Format::kDocker, "docker", "compose.velollm.yaml", ".yaml"},
                                             {Format::kModelfile, "modelfile", "Modelfile", "Modelfile"},
                                             {Format::kRequest, "request", "request.json", "request.json"},
                                             {Format::kLlamaServer, "llama-server", "llama-server.txt", "-server.txt"},
                                             {Format::kJson, "json", "plan.json", ".json"}}};

const Named& row(Format format) {
    return *std::find_if(kFormats.begin(), kFormats.end(), [&](const Named& one) { return one.format == format; });
}

std::string engine_words(const Plan& plan) {
    const std::string name = plan.engine == "ollama" ? "Ollama" : plan.engine == "embedded" ? "VeloLLM" : plan.engine;
    return plan.version.empty() ? name : fmt::format("{} {}", name, plan.version);
}

std::string title(const Plan& plan, std::string_view mark) {
    return fmt::format("{} VeloLLM plan {}: {}, {}, profile {}\n", mark, plan.id, comment(engine_words(plan)),
                       comment(plan.model), profile_name(plan.profile));
}

std::string start_words(const Plan& plan) {
    return plan.engine == "ollama" ? "'ollama serve'" : "llama-server";
}

/// Says what the format can't carry, and which one can.
std::string left_out_lines(const Plan& plan, std::string_view channel, std::string_view mark) {
    std::string text;
    for (const std::string& setting : left_out(plan, channel)) {
        const auto pin = channel == "environment" ? plan.pinned.find(setting) : plan.pinned.end();
        const std::string why =
            pin == plan.pinned.end() ? "" : fmt::format(", since {} wins over a variable", comment(pin->second));
        text += fmt::format("{} {} has no line here{}: take  --format {}\n", mark, setting, why,
                            plan.engine == "ollama" ? "modelfile" : "llama-server");
    }
    return text;
}

using LineWriter = std::function<std::string(const Line&)>;

std::string with_reasons(const std::vector<Line>& lines, std::string_view mark, const LineWriter& write) {
    std::string text;
    std::string_view last;
    for (const Line& line : lines) {
        if (line.why != last) text += fmt::format("{} {}\n", mark, comment(line.why));
        last = line.why;
        text += write(line);
    }
    return text;
}

std::string names_of(const std::vector<Line>& lines) {
    std::string names;
    for (const Line& line : lines)
        if (!line.value.empty()) names += " " + line.name;
    return names;
}

/// The shells: `set` and `drop` write one line of theirs.
std::string render_shell(const Plan& plan, std::string_view use, std::string_view erase, const LineWriter& write) {
    std::vector<Line> lines = lines_for(plan, "environment");
    const std::vector<Line> own = own_lines(plan);
    // What is set further down isn't taken away first.
    std::erase_if(lines, [&](const Line& line) {
        return std::any_of(own.begin(), own.end(), [&](const Line& other) { return other.name == line.name; });
    });
    std::string text = title(plan, "#") + fmt::format("# Use: {}\n", use);
    if (plan.changes().empty()) return text + fmt::format("# {}\n", plan.nothing_to_change());
    if (plan.engine == "embedded") {
        text += "# VeloLLM reads these itself, each time that it is started from this shell.\n";
        return text + with_reasons(lines, "#", write) + fmt::format("# Undo: {}{}\n", erase, names_of(lines));
    }
    if (!lines.empty()) {
        text += fmt::format(
            "#\n# These lines act on the server, and only when {} is started from a shell that has\n"
            "# read this file. A server that runs already sees nothing of them.\n",
            start_words(plan));
        if (!plan.unit.empty())
            text += fmt::format("# Here {} starts it: take  --format systemd\n", comment(plan.manager));
        text += with_reasons(lines, "#", write);
    }
    text += left_out_lines(plan, "environment", "#");
    if (!own.empty()) {
        text +=
            "#\n# No Ollama reads the following names. VeloLLM does, and sends them as options of its own requests:\n"
            "# 'velollm benchmark' then measures these settings at once, without a restart. Other clients aren't\n"
            "# changed by them.\n";
        text += with_reasons(own, "#", write);
    }
    std::vector<Line> all = lines;
    all.insert(all.end(), own.begin(), own.end());
    const std::string names = names_of(all);
    return names.empty() ? text : text + fmt::format("#\n# Undo: {}{}\n", erase, names);
}

std::string render_env(const Plan& plan) {
    return render_shell(plan, ". ./velollm.sh   (sh, dash, bash, zsh; in the last two also: source velollm.sh)",
                        "unset", [](const Line& line) {
                            return line.value.empty() ? fmt::format("unset {}\n", line.name)
                                                      : fmt::format("export {}={}\n", line.name, sh_word(line.value));
                        });
}

std::string render_fish(const Plan& plan) {
    return render_shell(plan, "source velollm.fish", "set -e", [](const Line& line) {
        return line.value.empty() ? fmt::format("set -e {}\n", line.name)
                                  : fmt::format("set -gx {} {}\n", line.name, fish_word(line.value));
    });
}

std::string render_systemd(const Plan& plan) {
    const std::string unit = !plan.unit.empty()        ? plan.unit
                             : plan.engine == "ollama" ? "ollama.service"
                                                       : "llama-server.service";
    std::string text = title(plan, "#");
    text += fmt::format(
        "# A drop-in: put it into /etc/systemd/system/{0}.d/90-velollm.conf, then\n"
        "#   systemctl daemon-reload && systemctl restart {0}\n"
        "# It acts on the server from that restart on, for all its clients. Undo: remove the file, and the same "
        "again.\n",
        comment(unit));
    text += left_out_lines(plan, "environment", "#");
    const std::vector<Line> lines = lines_for(plan, "environment");
    if (lines.empty()) return text + "# Nothing to change here.\n";
    return text + "[Service]\n" + with_reasons(lines, "#", [](const Line& line) {
               return line.value.empty()
                          ? fmt::format("UnsetEnvironment={}\n", line.name)
                          : fmt::format("Environment=\"{}={}\n", line.name, systemd_word(line.value).substr(1));
           });
}

std::string render_launchd(const Plan& plan) {
    std::string text = title(plan, "#");
    text +=
        "# For macOS: run it with sh, then quit the Ollama app and open it again. It acts on the app's server until "
        "the\n"
        "# next restart of the Mac. The app's own context slider wins over OLLAMA_CONTEXT_LENGTH.\n";
    text += left_out_lines(plan, "environment", "#");
    const std::vector<Line> lines = lines_for(plan, "environment");
    text += with_reasons(lines, "#", [](const Line& line) {
        return line.value.empty() ? fmt::format("launchctl unsetenv {}\n", line.name)
                                  : fmt::format("launchctl setenv {} {}\n", line.name, sh_word(line.value));
    });
    return text;
}

std::string render_powershell(const Plan& plan) {
    std::string text = title(plan, "#");
    text +=
        "# For Windows: run it, then quit the server and start it again. It sets the variables of your user, for "
        "every\n"
        "# program that is started from then on.\n";
    text += left_out_lines(plan, "environment", "#");
    return text + with_reasons(lines_for(plan, "environment"), "#", [](const Line& line) {
               return fmt::format("[Environment]::SetEnvironmentVariable({}, {}, 'User')\n", powershell_word(line.name),
                                  line.value.empty() ? "$null" : powershell_word(line.value));
           });
}

std::string render_docker(const Plan& plan) {
    const std::string service = plan.engine == "ollama" ? "ollama" : "llama-server";
    std::string text = title(plan, "#");
    text += fmt::format(
        "# For Docker Compose, beside your own file:\n"
        "#   docker compose -f compose.yaml -f compose.velollm.yaml up -d\n"
        "# Name the service as your file does. It acts on the server once its container is made anew.\n",
        service);
    text += left_out_lines(plan, "environment", "#");
    std::string words;
    std::string entries;
    for (const Line& line : lines_for(plan, "environment")) {
        if (line.value.empty()) {
            text += fmt::format("# Take {} out of your own file: {}\n", line.name, comment(line.why));
            continue;
        }
        entries += fmt::format("      {}: {}\n", line.name, compose_text(line.value));
        if (is_plain_value(line.value)) words += fmt::format(" -e {}={}", line.name, line.value);
    }
    if (entries.empty()) return text + "# Nothing to change here.\n";
    if (!words.empty()) text += fmt::format("# Without Compose:  docker run{} ...\n", words);
    return text + fmt::format("services:\n  {}:\n    environment:\n", service) + entries;
}

Result<std::string> render_modelfile(const Plan& plan) {
    const auto unfit = [](std::string_view what) {
        return Error{ErrorCode::kUsage, fmt::format("No Modelfile can be written: {}", what),
                     "Take another --format, such as env or systemd."};
    };
    if (plan.engine != "ollama") return unfit(fmt::format("{} has none", plan.engine));
    const bool plain = !plan.model.empty() && std::all_of(plan.model.begin(), plan.model.end(), [](char c) {
        return is_plain_value(std::string_view(&c, 1)) || c == ':' || c == '/';
    });
    if (!plain) return unfit("the model's name has characters that it can't hold");
    const std::string tag = velo_tag(plan.model);
    std::string text = title(plan, "#");
    text += fmt::format(
        "# Makes a new model beside the old one, which stays as it is:\n"
        "#   ollama create {0} -f Modelfile\n"
        "# It acts on every client that uses {0}. Undo: ollama rm {0}\nFROM {1}\n",
        tag, plan.model);
    for (const Line& line : lines_for(plan, "modelfile")) {
        if (line.value.empty() || !is_plain_value(line.value)) continue;
        text += fmt::format("# {}\nPARAMETER {} {}\n", comment(line.why), line.name, line.value);
    }
    for (const std::string& setting : left_out(plan, "modelfile"))
        text += fmt::format("# {} has no line here: take  --format env, systemd or docker\n", setting);
    return text;
}

Result<std::string> render_request(const Plan& plan) {
    base::JsonWriter json(2);
    std::vector<Line> lines = lines_for(plan, "request");
    std::erase_if(lines, [](const Line& line) { return line.value.empty(); });
    if (lines.empty() && !plan.changes().empty())
        return Error{ErrorCode::kUsage, "No request can carry these changes: they are settings of the server",
                     "Take another --format, such as env or systemd."};
    const auto write = [&](const Line& line) {
        json.key(line.name);
        if (const auto number = base::parse_int(line.value))
            json.value(*number);
        else if (line.value == "true" || line.value == "false")
            json.value(line.value == "true");
        else
            json.value(line.value);
    };
    json.begin_object().field("model", plan.model);
    // Ollama takes this one beside the options, not among them (docs/api.md).
    for (const Line& line : lines)
        if (line.name == "keep_alive") write(line);
    json.key("options").begin_object();
    for (const Line& line : lines)
        if (line.name != "keep_alive") write(line);
    json.end_object().end_object();
    return json.text() + "\n";
}

Result<std::string> render_llama_server(const Plan& plan) {
    if (plan.engine != "llama-server")
        return Error{ErrorCode::kUsage, fmt::format("--format llama-server is not for {}", plan.engine),
                     "Add  -b llamacpp"};
    const std::vector<Line> flags = lines_for(plan, "flag");
    std::string text = title(plan, "#");
    text += "# Three ways to say the same; take one. It acts on a llama-server that is started with it.\n";
    text += with_reasons(flags, "#", [](const Line&) { return std::string(); });
    text += "\n# 1. On the command line, behind your own words:\n#   llama-server";
    for (const Line& line : flags)
        if (is_plain_value(line.value)) text += fmt::format(" {} {}", line.name, line.value);
    text += "\n\n# 2. A file for EnvironmentFile= of a systemd unit:\n";
    for (const Line& line : lines_for(plan, "environment"))
        if (!line.value.empty()) text += fmt::format("{}={}\n", line.name, envfile_word(line.value));
    text += "\n# 3. A preset of the router, --models-preset FILE:\n# [*]\n";
    for (const Line& line : flags)
        if (line.name.starts_with("--") && is_plain_value(line.value))
            text += fmt::format("# {} = {}\n", line.name.substr(2), line.value);
    return text;
}

}  // namespace

std::string_view format_name(Format format) {
    return row(format).name;
}

std::optional<Format> parse_format(std::string_view name) {
    for (const Named& one : kFormats)
        if (one.name == name) return one.format;
    return std::nullopt;
}

std::vector<std::string> format_names() {
    std::vector<std::string> names;
    for (const Named& one : kFormats) names.emplace_back(one.name);
    return names;
}

Format format_of_file(std::string_view name) {
    for (const Format format : {Format::kLaunchd, Format::kRequest, Format::kLlamaServer, Format::kModelfile})
        if (name.ends_with(row(format).ending)) return format;
    for (const Named& one : kFormats)
        if (name.ends_with(one.ending)) return one.format;
    return name.ends_with(".yml") ? Format::kDocker : Format::kEnv;
}

std::string usual_file(Format format) {
    return std::string(row(format).file);
}

std::string velo_tag(const std::string& model) {
    const std::size_t colon = model.rfind(':');
    const bool tagged = colon != std::string::npos && model.find('/', colon) == std::string::npos;
    return tagged ? model + "-velo" : model + ":velo";
}

std::vector<Line> lines_for(const Plan& plan, std::string_view channel) {
    std::vector<Line> lines;
    for (const Finding& finding : plan.findings) {
        if (finding.trial) continue;
        for (const Change& change : finding.changes) {
            std::string name = change.knob;
            if (change.channel != channel) {
                const Knob* knob = knob_for(plan.engine, plan.version, channel, change.setting);
                // A dead variable has no place in other channels: its setting is not what is changed.
                if (knob == nullptr || change.value.empty()) continue;
                name = knob->name;
            }
            if (!is_plain_name(name)) continue;
            if (channel == "environment" && !change.value.empty() && plan.pinned.contains(change.setting)) continue;
            std::erase_if(lines, [&](const Line& line) { return line.name == name; });
            lines.push_back({name, change.value, fmt::format("{}: {}", finding.rule, finding.title)});
        }
    }
    return lines;
}

std::vector<std::string> left_out(const Plan& plan, std::string_view channel) {
    std::vector<std::string> names;
    for (const Change& change : plan.changes()) {
        const bool pinned = channel == "environment" && plan.pinned.contains(change.setting);
        const bool carried =
            change.channel == channel || knob_for(plan.engine, plan.version, channel, change.setting) != nullptr;
        if (change.value.empty() || (carried && !pinned)) continue;
        if (std::find(names.begin(), names.end(), change.setting) == names.end()) names.push_back(change.setting);
    }
    return names;
}

std::vector<Line> own_lines(const Plan& plan) {
    std::vector<Line> own;
    if (plan.engine != "ollama") return own;
    for (Line& line : lines_for(plan, "request")) {
        const Knob* knob = find_knob("embedded", "", "request", line.name);
        const Knob* variable = knob == nullptr ? nullptr : knob_for("embedded", "", "environment", knob->setting);
        if (variable != nullptr) own.push_back({variable->name, std::move(line.value), std::move(line.why)});
    }
    return own;
}

Result<std::string> render(const Plan& plan, Format format) {
    const bool of_server = format == Format::kSystemd || format == Format::kDocker || format == Format::kLaunchd;
    if ((plan.engine == "embedded" && of_server) || (plan.engine == "llama-server" && format == Format::kLaunchd))
        return Error{ErrorCode::kUsage, fmt::format("--format {} is not for {}", format_name(format), plan.engine),
                     plan.engine == "embedded" ? "The embedded engine is this program: take  --format env"
                                               : "It is for the Ollama app: take  --format llama-server"};
    switch (format) {
        case Format::kText: return plan_text(plan, false);
        case Format::kEnv: return render_env(plan);
        case Format::kFish: return render_fish(plan);
        case Format::kSystemd: return render_systemd(plan);
        case Format::kLaunchd: return render_launchd(plan);
        case Format::kPowershell: return render_powershell(plan);
        case Format::kDocker: return render_docker(plan);
        case Format::kModelfile: return render_modelfile(plan);
        case Format::kRequest: return render_request(plan);
        case Format::kLlamaServer: return render_llama_server(plan);
        case Format::kJson: return plan_json(plan, 2, "", nullptr) + "\n";
    }
    return std::string();
}

}  // namespace velollm::optimize
