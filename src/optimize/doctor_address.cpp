#include "optimize/doctor_address.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>
#include <utility>

#include "base/text.h"
#include "hardware/engine_process.h"
#include "hardware/files.h"
#include "http/curl_transport.h"
#include "wire/json_reader.h"
#include "wire/url.h"

namespace velollm::optimize {
namespace {

namespace fs = std::filesystem;

constexpr Ns kShort = std::chrono::milliseconds(500);
constexpr int kOllamaPort = 11434;
constexpr int kLlamaServerPort = 8080;
constexpr std::size_t kMostPorts = 64;

http::HttpResponse get(const std::string& url, const system::System& system, Clock& clock) {
    const auto transport = http::make_curl_transport(clock, system.variable("SSL_CERT_FILE").value_or(""));
    const std::function<bool()> never;
    const http::Caller call(*transport, clock, never);
    http::HttpRequest request;
    request.url = url;
    request.connect_timeout = kShort;
    return call(request, kShort);
}

bool is_text(const http::HttpResponse& response, const char* pointer) {
    wire::JsonReader json;
    return response.arrived() && response.status == 200 && json.parse(response.body) && json.text(pointer);
}

AtAddress ask(const std::string& base, const system::System& system, Clock& clock) {
    ServerAnswers answers;
    answers.version = get(base + "/api/version", system, clock);
    const bool reached = answers.version.status != 0 || answers.version.end.failure == http::TransportFailure::kNotHttp;
    if (reached && !is_text(answers.version, "/version")) {
        answers.props = get(base + "/props", system, clock);
        answers.models = get(base + "/v1/models", system, clock);
        answers.root = get(base + "/", system, clock);
    }
    return judge_answers(answers);
}

Result<wire::Url> address(const Target& target, const system::System& system) {
    if (target.engine == "llama-server")
        return wire::parse_url(target.url.empty() ? "localhost" : target.url, kLlamaServerPort);
    if (target.url.empty()) return wire::resolve_ollama_host(system.variable("OLLAMA_HOST").value_or(""));
    return wire::parse_url(target.url, kOllamaPort);
}

/// The engine's servers that run on this machine, without the llama-servers that an Ollama started.
bool runs_here(const std::string& engine, const system::System& system) {
    const auto name_of = [&](int pid) { return hardware::read_word(system, fmt::format("/proc/{}/comm", pid)); };
    std::error_code error;
    for (fs::directory_iterator it(hardware::under_root(system, "/proc"), error), end; !error && it != end;
         it.increment(error)) {
        const auto pid = base::parse_int(it->path().filename().string());
        if (!pid || name_of(static_cast<int>(*pid)) != engine) continue;
        const auto stat = hardware::parse_process_stat(system::read_file(it->path() / "stat").value_or(""));
        if (stat && name_of(stat->parent) != "ollama") return true;
    }
    return false;
}

/// An Ollama that lists its models, or that holds one.
std::optional<std::vector<std::string>> names_at(const Target& target, const char* path, const system::System& system,
                                                 Clock& clock) {
    const auto url = address(target, system);
    if (!url) return std::nullopt;
    const http::HttpResponse response = get(url->text() + path, system, clock);
    wire::JsonReader json;
    if (!response.arrived() || response.status != 200 || !json.parse(response.body)) return std::nullopt;
    const auto count = json.size("/models");
    if (!count) return std::nullopt;
    std::vector<std::string> names;
    for (std::size_t i = 0; i < *count; ++i)
        if (const auto name = json.text(fmt::format("/models/{}/name", i))) names.emplace_back(*name);
    return names;
}

}  // namespace

std::optional<std::vector<std::string>> listed_models(const Target& target, const system::System& system,
                                                      Clock& clock) {
    return names_at(target, "/api/tags", system, clock);
}

std::optional<std::string> loaded_model(const Target& target, const system::System& system, Clock& clock) {
    const auto names = names_at(target, "/api/ps", system, clock);
    return names && !names->empty() ? std::optional(names->front()) : std::nullopt;
}

AtAddress judge_answers(const ServerAnswers& answers) {
    const http::HttpResponse& first = answers.version;
    if (first.status == 0) {
        using http::TransportFailure;
        switch (first.end.failure) {
            case TransportFailure::kNotHttp:
                return {"something that doesn't speak HTTP", "", base::one_line(first.end.detail, 120)};
            case TransportFailure::kRefused: return {"", "", "connection refused: nothing listens there"};
            case TransportFailure::kName: return {"", "", "the host's name has no address"};
            case TransportFailure::kTls:
                return {"something without the right TLS", "", base::one_line(first.end.detail, 120)};
            case TransportFailure::kBroken:
                return {"something that hangs up", "", base::one_line(first.end.detail, 120)};
            default: break;
        }
        return {"", "", first.timed_out ? "no answer within 0.5 s" : base::one_line(first.end.detail, 120)};
    }
    if (is_text(first, "/version")) return {"Ollama", "ollama", ""};
    if (is_text(answers.props, "/model_path") || is_text(answers.props, "/build_info"))
        return {"llama-server", "llama-server", ""};
    wire::JsonReader json;
    if (answers.models.status == 200 && json.parse(answers.models.body) && json.size("/data"))
        return {"a server with OpenAI's interface (vLLM, LM Studio or another)", "", ""};
    if (answers.props.status == 401 || answers.models.status == 401)
        return {"a server that wants a key (status 401)", "", ""};
    return {fmt::format("a web server (status {} at /)", answers.root.status), "", ""};
}

std::vector<int> listening_ports(std::string_view proc_net_tcp) {
    constexpr std::size_t kLocal = 1;
    constexpr std::size_t kState = 3;
    std::vector<int> ports;
    for (const std::string_view line : base::split(proc_net_tcp, '\n')) {
        std::vector<std::string_view> words;
        for (const std::string_view word : base::split(line, ' '))
            if (!word.empty()) words.push_back(word);
        if (words.size() <= kState || words[kState] != "0A") continue;
        const std::size_t colon = words[kLocal].rfind(':');
        if (colon == std::string_view::npos) continue;
        int port = 0;
        for (const char c : words[kLocal].substr(colon + 1)) {
            const std::size_t digit = std::string_view("0123456789ABCDEF").find(c);
            if (digit == std::string_view::npos || port > 0xFFFF) break;
            port = port * 16 + static_cast<int>(digit);
        }
        if (port > 0 && port <= 0xFFFF) ports.push_back(port);
    }
    std::sort(ports.begin(), ports.end());
    ports.erase(std::unique(ports.begin(), ports.end()), ports.end());
    return ports;
}

AtAddress ask_address(const Target& target, const system::System& system, Clock& clock) {
    const auto url = address(target, system);
    if (!url) return {"", "", url.error().message};
    return ask(url->text(), system, clock);
}

std::vector<Elsewhere> find_elsewhere(const Target& target, const system::System& system, Clock& clock) {
    std::vector<Elsewhere> found;
    auto url = address(target, system);
    if (!url) return found;
    const int asked = url->port;
    const bool loopback = wire::is_loopback(*url);
    if (!url->path.empty()) {
        url->path.clear();
        const AtAddress at = ask(url->text(), system, clock);
        if (at.engine == target.engine) found.push_back({at.who, url->text()});
    }
    if (!loopback || !runs_here(target.engine, system)) return found;
    std::vector<int> ports = listening_ports(hardware::read_text(system, "/proc/net/tcp"));
    for (const int port : listening_ports(hardware::read_text(system, "/proc/net/tcp6"))) ports.push_back(port);
    // The usual one first, and of many no more than can be asked in a short time.
    const int usual = target.engine == "ollama" ? kOllamaPort : kLlamaServerPort;
    std::stable_partition(ports.begin(), ports.end(), [&](int port) { return port == usual; });
    if (ports.size() > kMostPorts) ports.resize(kMostPorts);
    for (const int port : ports) {
        const auto pid = hardware::process_listening_on(system, port);
        const std::string name = pid ? hardware::read_word(system, fmt::format("/proc/{}/comm", *pid)) : "";
        if (port == asked || (pid && name != target.engine) || (!pid && port != usual)) continue;
        if (pid) {  // a llama-server that an Ollama started is no server of its own
            const auto stat =
                hardware::parse_process_stat(hardware::read_text(system, fmt::format("/proc/{}/stat", *pid)));
            if (stat && hardware::read_word(system, fmt::format("/proc/{}/comm", stat->parent)) == "ollama" &&
                name != "ollama")
                continue;
        }
        const std::string base = fmt::format("http://127.0.0.1:{}", port);
        const AtAddress at = ask(base, system, clock);
        if (at.engine == target.engine) found.push_back({at.who, base});
    }
    return found;
}

}  // namespace velollm::optimize
