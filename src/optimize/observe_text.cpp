#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "optimize/observe.h"
#include "optimize/registry.h"

namespace velollm::optimize {
namespace {

constexpr std::string_view kServerConfig = "msg=\"server config\"";  // Ollama's first line

/// The last line of `log` that has `mark`; empty when none has.
std::string_view last_line_with(std::string_view log, std::string_view mark) {
    const std::size_t at = log.rfind(mark);
    if (at == std::string_view::npos) return {};
    const std::size_t begin = log.rfind('\n', at);
    const std::size_t first = begin == std::string_view::npos ? 0 : begin + 1;
    return log.substr(first, log.find('\n', at) - first);
}

std::string_view word_at(std::string_view text, std::string_view ends) {
    return text.substr(0, text.find_first_of(ends));
}

bool is_flag(std::string_view word) {
    return word.size() > 1 && word.front() == '-' && !base::parse_double(word);
}

}  // namespace

std::optional<std::string> flag_value(const std::vector<std::string>& words, const std::vector<std::string>& flags) {
    std::optional<std::string> found;
    for (std::size_t i = 0; i < words.size(); ++i) {
        for (const std::string& flag : flags) {
            const bool long_form = flag.starts_with("--");
            if (words[i] == flag) found = i + 1 < words.size() && !is_flag(words[i + 1]) ? words[i + 1] : "1";
            if (long_form && words[i].starts_with(flag + "=")) found = words[i].substr(flag.size() + 1);
        }
    }
    return found;
}

std::vector<std::string> split_nul(std::string_view text) {
    std::vector<std::string> out;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\0'), text.size());
        out.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

system::Environment engine_environment(std::string_view environ) {
    system::Environment all;
    for (const std::string& entry : split_nul(environ)) {
        const std::size_t equals = entry.find('=');
        if (equals != std::string::npos) all[entry.substr(0, equals)] = entry.substr(equals + 1);
    }
    return engine_environment(all);
}

system::Environment engine_environment(const system::Environment& env) {
    system::Environment out;
    for (const auto& [name, value] : env)
        if (is_engine_variable(name)) out[name] = value;
    return out;
}

Manager manager_of(std::string_view proc_cgroup, int pid) {
    for (const std::string_view line : base::split(proc_cgroup, '\n'))
        for (const std::string_view mark : {"docker", "libpod", "kubepods", "containerd", "lxc."})
            if (line.find(mark) != std::string_view::npos) return {fmt::format("container ({})", mark), "", true};
    for (const std::string_view line : base::split(proc_cgroup, '\n')) {
        // "1:name=systemd:/system.slice/ollama.service", "0::/system.slice/ollama.service".
        if (line.find(":name=systemd:") == std::string_view::npos && !line.starts_with("0::")) continue;
        const std::string_view unit = base::split(line, '/').back();
        const bool session = unit.starts_with("user@") || unit.starts_with("session-");
        if (unit.ends_with(".service") && !session)
            return {fmt::format("systemd unit {}", unit), std::string(unit), false};
    }
    return {fmt::format("process {}", pid), "", false};
}

std::map<std::string, std::string> parse_parameters(std::string_view text) {
    std::map<std::string, std::string> out;
    for (const std::string_view line : base::split(text, '\n')) {
        const std::string_view name = word_at(line, " \t");
        if (name.empty() || name.size() >= line.size()) continue;
        const std::string_view value = base::trim(line.substr(name.size()));
        if (!value.empty()) out[std::string(name)] = std::string(value);
    }
    return out;
}

std::string_view log_of_this_run(std::string_view log) {
    const std::size_t at = log.rfind(kServerConfig);
    if (at == std::string_view::npos) return log;
    const std::size_t begin = log.rfind('\n', at);
    return begin == std::string_view::npos ? log : log.substr(begin + 1);
}

std::string ollama_value(std::string_view value) {
    const std::string_view text = base::trim(value);
    const std::size_t first = text.find_first_not_of("\"'");
    return first == std::string_view::npos ? ""
                                           : std::string(text.substr(first, text.find_last_not_of("\"'") + 1 - first));
}

bool ollama_switch(std::string_view value) {
    const std::string text = ollama_value(value);
    for (const char* no : {"0", "f", "F", "false", "FALSE", "False"})
        if (text == no) return false;
    return !text.empty();
}

std::optional<std::string> config_in_log(std::string_view log, std::string_view name) {
    const std::string_view line = last_line_with(log, kServerConfig);
    const std::string mark = fmt::format("{}:", name);
    std::size_t at = line.find("map[" + mark);
    if (at != std::string_view::npos)
        at += 4;
    else if ((at = line.find(" " + mark)) != std::string_view::npos)
        at += 1;
    else
        return std::nullopt;
    return std::string(word_at(line.substr(at + mark.size()), " ]"));
}

std::optional<std::string> load_in_log(std::string_view log, std::string_view field) {
    const std::string_view line = last_line_with(log, "Operation:commit");
    const std::string mark = fmt::format(" {}:", field);
    const std::size_t at = line.find(mark);
    if (at == std::string_view::npos) return std::nullopt;
    return std::string(word_at(line.substr(at + mark.size()), " }"));
}

std::optional<std::string> threads_in_log(std::string_view log) {
    constexpr std::string_view kMark = "system_info: n_threads = ";
    const std::string_view line = last_line_with(log, kMark);
    const std::size_t at = line.find(kMark);
    if (at == std::string_view::npos) return std::nullopt;
    return std::string(word_at(line.substr(at + kMark.size()), " ("));
}

std::vector<std::int64_t> loaded_contexts(std::string_view log, std::string_view file) {
    std::vector<std::int64_t> contexts;
    std::string wanted(file);
    for (const std::string_view line : base::split(log, '\n')) {
        if (line.find("msg=\"starting llama-server\"") == std::string_view::npos) continue;
        std::vector<std::string> words;
        for (const std::string_view word : base::split(line, ' ')) words.emplace_back(word);
        const std::string model = flag_value(words, {"--model"}).value_or("");
        if (wanted.empty()) wanted = model;
        const auto context = base::parse_int(flag_value(words, {"-c"}).value_or(""));
        if (context && model == wanted) contexts.push_back(*context);
    }
    return contexts;
}

std::optional<double> duration_seconds(std::string_view text) {
    if (const auto seconds = base::parse_double(text)) return *seconds;
    const double sign = text.starts_with('-') ? -1.0 : 1.0;
    if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
    if (text.empty()) return std::nullopt;
    double total = 0.0;
    while (!text.empty()) {
        const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
        const auto number = base::parse_double(text.substr(0, digits));
        text.remove_prefix(digits);
        const std::size_t letters = std::min(text.find_first_of("0123456789."), text.size());
        const std::string_view unit = text.substr(0, letters);
        text.remove_prefix(letters);
        constexpr std::array<std::pair<std::string_view, double>, 4> kUnits = {
            {{"h", 3600.0}, {"m", 60.0}, {"s", 1.0}, {"ms", 0.001}}};
        const auto* found =
            std::find_if(kUnits.begin(), kUnits.end(), [&](const auto& one) { return one.first == unit; });
        if (!number || found == kUnits.end()) return std::nullopt;
        total += *number * found->second;
    }
    return sign * total;
}

}  // namespace velollm::optimize
