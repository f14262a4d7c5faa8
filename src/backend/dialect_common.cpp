#include <fmt/core.h>

#include <algorithm>

#include "backend/dialect.h"
#include "backend/event_fields.h"
#include "base/text.h"

namespace velollm::backend {

namespace {
std::vector<std::string> key_header(const Target& target) {
    if (target.api_key.empty()) return {};
    return {"Authorization: Bearer " + target.api_key};
}
}  // namespace

http::HttpRequest get(const Target& target, std::string_view path) {
    return {.method = "GET", .url = target.base.text() + std::string(path), .headers = key_header(target)};
}

http::HttpRequest post(const Target& target, std::string_view path, const base::JsonWriter& body) {
    return {.method = "POST",
            .url = target.base.text() + std::string(path),
            .headers = key_header(target),
            .body = body.text()};
}

void write_user_message(base::JsonWriter& json, std::string_view text) {
    json.key("messages").begin_array().begin_object();
    json.field("role", "user").field("content", text).end_object().end_array();
}

std::string without_key(const Target& target, std::string_view text) {
    std::string out(text);
    if (target.api_key.empty()) return out;
    constexpr std::string_view kBlot = "[key]";
    for (std::size_t at = 0; (at = out.find(target.api_key, at)) != std::string::npos; at += kBlot.size())
        out.replace(at, target.api_key.size(), kBlot);
    return out;
}

std::string error_text(std::string_view body) {
    wire::JsonReader json;
    std::string text(body);
    // Ollama 0.32 passes llama-server's error object on as a string inside its own: look inside, a few levels at most.
    for (int level = 0; level < 4 && json.parse(text); ++level) {
        if (const auto message = json.text("/error/message")) {
            text = *message;
        } else if (const auto error = json.text("/error")) {
            text = *error;
        } else {
            break;
        }
    }
    return base::one_line(text);
}

namespace {
constexpr std::int64_t kMostPossible = std::int64_t{1} << 53U;
}

std::optional<std::int64_t> possible_count(std::optional<std::int64_t> stated) {
    return stated && *stated >= 0 && *stated <= kMostPossible ? stated : std::nullopt;
}

std::optional<Ns> possible_time(std::optional<Ns> stated) {
    return stated && possible_count(stated->count()) ? stated : std::nullopt;
}

void read_llama_timings(wire::EventReader& json, ServerReport& report) {
    const auto milliseconds = [&](EventField field) -> std::optional<Ns> {
        const auto ms = json.number(field);  // a double
        // One that fits into no Ns must not be made one.
        if (!ms || !(*ms >= 0.0 && *ms * 1e6 <= static_cast<double>(kMostPossible))) return std::nullopt;
        return std::chrono::duration_cast<Ns>(std::chrono::duration<double, std::milli>(*ms));
    };
    const auto evaluated = possible_count(json.integer(kTimingsPromptTokens));
    if (!evaluated) return;
    report.cached_tokens = possible_count(json.integer(kTimingsCachedTokens));
    if (!report.prompt_tokens) report.prompt_tokens = *evaluated + report.cached_tokens.value_or(0);
    if (!report.output_tokens) report.output_tokens = json.integer(kTimingsTokens);
    report.prompt_eval = milliseconds(kTimingsPromptMs);
    report.eval = milliseconds(kTimingsMs);
    report.draft_tokens = json.integer(kTimingsDrafted);
    report.accepted_tokens = json.integer(kTimingsAccepted);
}

namespace {

std::string_view start_hint(const TargetSpec& spec) {
    if (spec.backend == "ollama") {
        return "Start it:             ollama serve\n"
               "Or see why it isn't:  systemctl status ollama\n"
               "Or measure without:   velollm benchmark -b embedded";
    }
    if (spec.backend == "openai") return "Start it, or give another address:  --url http://HOST:PORT/v1";
    return "Start it:             llama-server -m MODEL.gguf\n"
           "Other address:        --url http://HOST:PORT\n"
           "Or measure without:   velollm benchmark -b embedded";
}

}  // namespace

Error transport_error(const Target& target, std::string_view name, const http::HttpResponse& response) {
    using http::TransportFailure;
    const std::string url = target.base.text();
    const std::string& detail = response.end.detail;
    const std::string check = fmt::format("Is the address right? Check --url{}.",
                                          target.spec.backend == "ollama" ? " (or --ollama-url) and OLLAMA_HOST" : "");
    if (response.interrupted) return {ErrorCode::kInterrupted, fmt::format("Stopped while waiting for {}", name), ""};
    if (response.timed_out) {
        return {ErrorCode::kUnreachable, fmt::format("{} at {} did not answer in time", name, url),
                fmt::format("Something accepts connections there and says nothing. {}", check)};
    }
    switch (response.end.failure) {
        case TransportFailure::kRefused:
            return {ErrorCode::kUnreachable, fmt::format("{} is not running at {}", name, url),
                    std::string(start_hint(target.spec))};
        case TransportFailure::kName:
            return {ErrorCode::kUnreachable, fmt::format("The host of {} has no address: {}", url, detail), check};
        case TransportFailure::kConnect:
            return {ErrorCode::kUnreachable, fmt::format("No connection to {}: {}", url, detail),
                    "Is a firewall in between? " + check};
        case TransportFailure::kTls:
            return {ErrorCode::kUnreachable, fmt::format("No secure connection to {}: {}", url, detail),
                    "If the server speaks plain http, write http:// instead of https://.\n"
                    "For a private certificate, name its file: SSL_CERT_FILE=FILE.pem"};
        case TransportFailure::kNotHttp:
            return {ErrorCode::kFailed, fmt::format("What listens at {} is not {}: {}", url, name, detail), check};
        case TransportFailure::kBroken:
            return {ErrorCode::kFailed,
                    fmt::format("The connection to {} at {} ended before its answer did: {}", name, url, detail),
                    "Look at the server's log: it may have crashed or run out of memory."};
        case TransportFailure::kNone:
        case TransportFailure::kOther: break;
    }
    return {ErrorCode::kFailed, fmt::format("The request to {} failed: {}", url, detail), check};
}

std::string model_hint(std::string_view get_it, const std::vector<std::string>& names, const std::string& wanted) {
    std::string hint(get_it);
    if (names.empty()) return hint;
    if (!hint.empty()) hint += '\n';
    hint += "Or take one that is there:  " + base::nearest_names(wanted, names, false);
    constexpr std::size_t kShown = 3;
    if (names.size() > kShown) hint += fmt::format(" (and {} more)", names.size() - kShown);
    return hint;
}

}  // namespace velollm::backend
