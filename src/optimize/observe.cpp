#include "optimize/observe.h"

#include <fmt/core.h>
#include <velollm/spec.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <utility>

#include "backend/started_llama_server.h"
#include "base/json_writer.h"
#include "base/text.h"
#include "hardware/engine_process.h"
#include "hardware/engine_view.h"
#include "hardware/files.h"
#include "http/curl_transport.h"
#include "system/process.h"
#include "wire/json_reader.h"

namespace velollm::optimize {
namespace {

namespace fs = std::filesystem;

constexpr Ns kAnswerLimit = std::chrono::seconds(2);
constexpr Ns kVersionLimit = std::chrono::seconds(2);
constexpr std::size_t kVersionBytes = 4096;
constexpr std::size_t kLogBytes = std::size_t{2} << 20U;
constexpr int kLlamaServerPort = 8080;

/// Asks a server short questions.
class Asker {
public:
    Asker(wire::Url base, const system::System& system, Clock& clock)
        : base_(std::move(base)),
          transport_(http::make_curl_transport(clock, system.variable("SSL_CERT_FILE").value_or(""))),
          call_(*transport_, clock, never_) {}

    bool get(const char* path) { return ask(path, ""); }
    bool post(const char* path, const std::string& body) { return ask(path, body); }
    const wire::JsonReader& json() const { return json_; }

private:
    bool ask(const char* path, const std::string& body) {
        http::HttpRequest request;
        request.url = base_.text() + path;
        request.connect_timeout = kAnswerLimit;
        if (!body.empty()) {
            request.method = "POST";
            request.headers = {"Content-Type: application/json"};
            request.body = body;
        }
        const http::HttpResponse response = call_(request, kAnswerLimit);
        return response.arrived() && response.status == 200 && json_.parse(response.body);
    }

    wire::Url base_;
    std::unique_ptr<http::HttpTransport> transport_;
    std::function<bool()> never_;
    http::Caller call_;
    wire::JsonReader json_;
};

Result<wire::Url> address_of(const Target& target, const system::System& system) {
    if (target.engine == "llama-server")
        return wire::parse_url(target.url.empty() ? "localhost" : target.url, kLlamaServerPort);
    if (target.url.empty()) return wire::resolve_ollama_host(system.variable("OLLAMA_HOST").value_or(""));
    constexpr int kOllamaPort = 11434;
    return wire::parse_url(target.url, kOllamaPort);
}

/// The file that the model's Modelfile begins with: "FROM /usr/share/.../sha256-...".
std::string from_line(std::string_view modelfile) {
    for (const std::string_view line : base::split(modelfile, '\n'))
        if (line.starts_with("FROM /")) return std::string(base::trim(line.substr(5)));
    return "";
}

/// What Ollama says. Returns the file of the model's weights where it names one.
std::string ask_ollama(Asker& ask, Observed& observed) {
    if (!ask.get("/api/version") || !ask.json().text("/version")) return "";
    observed.answering = true;
    observed.version = *ask.json().text("/version");
    if (ask.get("/api/ps")) {
        for (std::size_t i = 0; i < ask.json().size("/models").value_or(0); ++i) {
            const auto field = [&](const char* name) { return fmt::format("/models/{}/{}", i, name); };
            observed.models.push_back({.name = std::string(ask.json().text(field("name")).value_or("")),
                                       .context = ask.json().integer(field("context_length")).value_or(0),
                                       .total_bytes = ask.json().integer(field("size")).value_or(0),
                                       .gpu_bytes = ask.json().integer(field("size_vram")).value_or(0)});
        }
    }
    if (observed.model.empty() && !observed.models.empty()) observed.model = observed.models.front().name;
    // Its newest one, before a usual one that isn't there.
    if (observed.model.empty() && ask.get("/api/tags")) observed.model = ask.json().text("/models/0/name").value_or("");
    if (observed.model.empty()) observed.model = kDefaultModel;
    base::JsonWriter body;
    body.begin_object().field("model", observed.model).end_object();
    if (!ask.post("/api/show", body.text())) {
        observed.model_absent = true;
        observed.unseen.push_back(fmt::format("the server has no model {}: its own settings", observed.model));
        return "";
    }
    observed.modelfile = parse_parameters(ask.json().text("/parameters").value_or(""));
    return from_line(ask.json().text("/modelfile").value_or(""));
}

std::string ask_llama_server(Asker& ask, Observed& observed) {
    if (!ask.get("/props")) return "";
    observed.answering = true;
    observed.slot_context = ask.json().integer("/default_generation_settings/n_ctx");
    observed.slots = ask.json().integer("/total_slots");
    std::string file(ask.json().text("/model_path").value_or(""));
    if (observed.model.empty()) observed.model = ask.json().text("/model_alias").value_or("");
    if (observed.model.empty()) observed.model = fs::path(file).stem().string();
    return file;
}

ObservedProcess read_process(const system::System& system, int pid) {
    ObservedProcess process;
    process.pid = pid;
    process.words = split_nul(hardware::read_text(system, fmt::format("/proc/{}/cmdline", pid)));
    const auto environ = system::read_file(hardware::under_root(system, fmt::format("/proc/{}/environ", pid)));
    process.env_known = environ && !environ->empty();
    if (environ) process.env = engine_environment(std::string_view(*environ));
    return process;
}

/// Of the server's children the one that holds the model. Several tags may share one file: then their contexts must
/// tell them apart.
std::optional<ObservedProcess> find_worker(const system::System& system, int server, const std::string& file,
                                           const ObservedModel& loaded) {
    std::vector<ObservedProcess> found;
    for (const int pid : hardware::process_tree(system, server)) {
        if (pid == server) continue;
        ObservedProcess process = read_process(system, pid);
        const auto model = flag_value(process.words, {"--model", "-m"});
        if (model && (file.empty() || *model == file)) found.push_back(std::move(process));
    }
    if (found.size() > 1)
        std::erase_if(found, [&](const ObservedProcess& process) {
            const auto all = base::parse_int(flag_value(process.words, {"-c", "--ctx-size"}).value_or(""));
            const auto slots = base::parse_int(flag_value(process.words, {"-np", "--parallel"}).value_or("1"));
            return !all || *all / std::max<std::int64_t>(slots.value_or(1), 1) != loaded.context;
        });
    return found.size() == 1 ? std::optional(std::move(found.front())) : std::nullopt;
}

void read_log(const system::System& system, int pid, Observed& observed) {
    for (const int descriptor : {2, 1}) {
        std::error_code error;
        const fs::path link = hardware::under_root(system, fmt::format("/proc/{}/fd/{}", pid, descriptor));
        const fs::path target = fs::read_symlink(link, error);
        if (error || !target.is_absolute() || target.string().starts_with("/dev/")) continue;
        const fs::path file = hardware::under_root(system, target.string());
        if (!fs::is_regular_file(file, error)) continue;
        if (auto text = system::read_end(file, kLogBytes)) {
            observed.log = std::string(log_of_this_run(*text));
            observed.log_path = target.string();
            return;
        }
    }
    observed.unseen.emplace_back("the server's log: it doesn't go to a file that this user can read");
}

void look_at_processes(const system::System& system, const wire::Url& url, const std::string& file,
                       Observed& observed) {
    if (!wire::is_loopback(url)) {
        observed.unseen.push_back(fmt::format(
            "the machine of {}: its processor, memory, processes and environment are not this machine's", url.text()));
        return;
    }
    const auto pid = hardware::process_listening_on(system, url.port);
    if (!pid) {
        observed.unseen.emplace_back(
            "the server's process: it belongs to another user or another container (run this with sudo to see it)");
        return;
    }
    observed.server = read_process(system, *pid);
    if (!observed.server->env_known) observed.unseen.emplace_back("the server's environment: it isn't readable");
    const Manager manager = manager_of(hardware::read_text(system, fmt::format("/proc/{}/cgroup", *pid)), *pid);
    observed.manager = manager.words;
    observed.unit = manager.unit;
    observed.container = manager.container;
    if (observed.engine == "ollama") {
        if (const ObservedModel* loaded = observed.find_model(observed.model))
            observed.worker = find_worker(system, *pid, file, *loaded);
        if (!observed.worker) observed.unseen.emplace_back("what the engine was told: the model isn't loaded");
    }
    read_log(system, *pid, observed);
}

std::string written_by(std::vector<std::string> words, const system::System& system, Clock& clock) {
    auto process =
        system::Process::start({.words = std::move(words), .env = backend::child_environment(system.env)}, system);
    if (!process || !process->wait(clock.now() + kVersionLimit)) return "";
    return process->output(kVersionBytes);
}

/// The version of the installed program, where no server says its own.
std::string installed_version(const Target& target, const system::System& system, Clock& clock) {
    if (target.engine == "ollama") {
        const auto program = system::find_program(system, "ollama");
        if (!program) return "";
        const std::string text = written_by({program->string(), "--version"}, system, clock);
        constexpr std::string_view kBefore = "version is ";
        const std::size_t at = text.rfind(kBefore);
        if (at == std::string::npos) return "";
        const std::string rest = text.substr(at + kBefore.size());
        return rest.substr(0, rest.find_first_of(" \n"));
    }
    const auto program = backend::find_llama_server(target.llama_server, system);
    if (!program) return "";
    const std::string text = hardware::parse_llama_version(written_by({program->string(), "--version"}, system, clock));
    return text.substr(0, text.find(' '));
}

}  // namespace

Observed observe(const Target& target, const system::System& system, Clock& clock) {
    Observed observed;
    observed.engine = target.engine;
    observed.model = target.model;
    if (target.engine == "embedded") return observed;
    const auto url = address_of(target, system);
    if (!url) {
        observed.unseen.push_back(url.error().message);
        return observed;
    }
    observed.url = url->text();
    Asker ask(*url, system, clock);
    const bool ollama = target.engine == "ollama";
    const std::string file = ollama ? ask_ollama(ask, observed) : ask_llama_server(ask, observed);
    observed.model_file = file;
    if (observed.answering) look_at_processes(system, *url, file, observed);
    if (observed.model.empty() && ollama) observed.model = kDefaultModel;
    Target program = target;
    if (!ollama && observed.server && !observed.server->words.empty() && !observed.container &&
        fs::path(observed.server->words.front()).is_absolute())
        program.llama_server = observed.server->words.front();
    if (observed.version.empty()) observed.version = installed_version(program, system, clock);
    if (!observed.answering && !wire::is_loopback(*url))
        observed.unseen.push_back(fmt::format(
            "a server: none answers at {}, and what its machine has can't be seen from here", observed.url));
    else if (!observed.answering)
        observed.unseen.push_back(
            fmt::format("a server: none answers at {}, so this is planned from the hardware, the "
                        "models here and the installed program",
                        observed.url));
    if (observed.version.empty()) observed.unseen.emplace_back("the engine's version: the newest known is assumed");
    return observed;
}

}  // namespace velollm::optimize
