#include <fmt/core.h>

#include <algorithm>

#include "backend/dialect.h"
#include "backend/event_fields.h"
#include "base/json_writer.h"
#include "base/text.h"

namespace velollm::backend {
namespace {

using http::HttpRequest;
using http::HttpResponse;
using wire::EventReader;
using wire::JsonReader;

/// keep_alive is a number of seconds or a duration such as "5m"; Ollama takes the first as a JSON number only.
void write_keep_alive(base::JsonWriter& json, const std::string& keep_alive) {
    if (keep_alive.empty()) return;
    json.key("keep_alive");
    if (const auto seconds = base::parse_int(keep_alive)) {
        json.value(*seconds);
    } else {
        json.value(keep_alive);
    }
}

/// Options that decide how the model is loaded: they must be the same in every request, or Ollama loads it again.
void write_engine_options(base::JsonWriter& json, const EngineOptions& options) {
    if (options.num_ctx) json.field("num_ctx", *options.num_ctx);
    if (options.num_batch) json.field("num_batch", *options.num_batch);
    if (options.num_gpu) json.field("num_gpu", *options.num_gpu);
    if (options.num_thread) json.field("num_thread", *options.num_thread);
}

HttpRequest generate(const Target& target, const Prompt& prompt) {
    base::JsonWriter json;
    json.begin_object().field("model", target.spec.model);
    const bool chat = target.spec.endpoint == "chat";
    if (chat) {
        write_user_message(json, prompt.text);
    } else {
        json.field("prompt", prompt.text);
        if (target.spec.raw) json.field("raw", true);
    }
    // Without truncate:false a prompt that doesn't fit is cut silently and counted as cut.
    json.field("stream", true).field("truncate", false);
    write_keep_alive(json, target.spec.options.keep_alive);
    json.key("options").begin_object();
    json.field("num_predict", prompt.max_tokens).field("temperature", 0).field("seed", prompt.seed);
    write_engine_options(json, target.spec.options);
    json.end_object().end_object();
    return post(target, chat ? "/api/chat" : "/api/generate", json);
}

std::optional<Ns> duration(EventReader& json, EventField field) {
    const auto ns = json.integer(field);
    return ns ? std::optional(Ns{*ns}) : std::nullopt;
}

ServerReport final_report(EventReader& json) {
    ServerReport report;
    report.prompt_tokens = json.integer(kPromptEvalCount);
    report.output_tokens = json.integer(kEvalCount);
    report.load = duration(json, kLoadDuration);
    report.prompt_eval = duration(json, kPromptEvalDuration);
    report.eval = duration(json, kEvalDuration);
    report.total = duration(json, kTotalDuration);
    const std::string_view reason = json.text(kDoneReason).value_or("");
    report.finish = reason == "length" ? FinishReason::kLength
                    : reason == "stop" ? FinishReason::kStop
                    : reason.empty()   ? FinishReason::kUnknown
                                       : FinishReason::kOther;
    // A natural stop counts the end token, which has no text and no event of its own; measured on 0.24 and 0.32.
    if (report.output_tokens) report.hidden_tokens = report.finish == FinishReason::kStop ? 1 : 0;
    return report;
}

void read_event(EventReader& json, EventMeaning& meaning) {
    if (json.has(kError)) {
        meaning.error = json.text(kError) ? std::string(*json.text(kError)) : json.json(kError).value_or("");
        return;
    }
    const auto text = [&](EventField generate_field, EventField chat_field) {
        const auto value = json.text(generate_field);
        return value ? *value : json.text(chat_field).value_or("");
    };
    const std::string_view content = text(kResponse, kMessageContent);
    const std::string_view thinking = text(kThinking, kMessageThinking);
    if (!content.empty()) {
        meaning.tokens = TokenEvent{.kind = TokenKind::kContent, .text = content, .tokens = {}};
    } else if (!thinking.empty()) {
        meaning.tokens = TokenEvent{.kind = TokenKind::kReasoning, .text = thinking, .tokens = {}};
    } else if (const auto name = json.text(kMessageTool)) {
        meaning.tokens = TokenEvent{.kind = TokenKind::kToolCall, .text = *name, .tokens = {}};
    }
    if (json.boolean(kDone).value_or(false)) {
        meaning.final = true;
        meaning.report = final_report(json);
    }
}

std::vector<std::string> model_names(const http::Caller& ask, const Target& target) {
    std::vector<std::string> names;
    const HttpResponse response = ask(get(target, "/api/tags"), kShortAnswer);
    JsonReader json;
    if (response.status != 200 || !json.parse(response.body)) return names;
    for (std::size_t i = 0; i < json.size("/models").value_or(0); ++i)
        if (const auto name = json.text(fmt::format("/models/{}/name", i))) names.emplace_back(*name);
    return names;
}

Error refusal(const Target& target, int status, std::string_view body) {
    const std::string text = error_text(body);
    if (status == 404) {
        return {ErrorCode::kModelNotFound, fmt::format("Model not found: {}", target.spec.model),
                fmt::format("Get it:  ollama pull {}", target.spec.model)};
    }
    std::string hint = "Look at Ollama's log: journalctl -u ollama, or the terminal of 'ollama serve'.";
    if (text.find("context") != std::string::npos && text.find("exceed") != std::string::npos)
        hint = "The prompt is longer than the context. Allow more: --num-ctx 8192";
    if (text.find("memory") != std::string::npos)
        hint =
            "The model doesn't fit into memory. Take a smaller model or quantisation, or a smaller context: "
            "--num-ctx 2048";
    return {ErrorCode::kFailed, fmt::format("Ollama refused ({}): {}", status, text), hint};
}

/// Somebody else answers at the address: name him if we know him.
Error not_ollama(const Target& target, const http::Caller& ask, const HttpResponse& response) {
    const std::string url = target.base.text();
    std::string hint = "Is the address right? Check --url (or --ollama-url) and OLLAMA_HOST; Ollama's port is 11434.";
    const HttpResponse health = ask(get(target, "/health"), kShortAnswer);
    if (health.body.find("\"status\"") != std::string::npos || health.body.find("Loading model") != std::string::npos)
        hint = fmt::format("It looks like llama.cpp's llama-server. Try:  velollm benchmark -b llamacpp --url {}", url);
    return {ErrorCode::kFailed,
            fmt::format("Not an Ollama server at {}: GET /api/version answered {} {}", url, response.status,
                        base::one_line(response.body, 60)),
            hint};
}

Result<std::string> server_version(const Target& target, const http::Caller& ask) {
    const HttpResponse response = ask(get(target, "/api/version"), kShortAnswer);
    if (!response.arrived()) return transport_error(target, "Ollama", response);
    JsonReader json;
    if (response.status != 200 || !json.parse(response.body) || !json.text("/version"))
        return not_ollama(target, ask, response);
    return std::string(*json.text("/version"));
}

/// "134.52M" or "3.2B" is rounded; general.parameter_count is exact.
void read_show(const JsonReader& json, const Target& target, TargetInfo& info) {
    info.family = json.text("/details/family").value_or("");
    info.quantization = json.text("/details/quantization_level").value_or("");
    info.parameters = json.integer("/model_info/general.parameter_count");
    // The template or the weights decide what the model is; its modelfile names the blob.
    const std::string_view modelfile = json.text("/modelfile").value_or("");
    constexpr std::string_view kBlob = "sha256-";
    const std::size_t blob = modelfile.find(kBlob);
    if (blob != std::string_view::npos) {
        const std::string_view digest = modelfile.substr(blob + kBlob.size(), 64);
        if (digest.size() == 64 && digest.find_first_not_of("0123456789abcdef") == std::string_view::npos)
            info.digest = digest;
        // "FROM /path/blobs/sha256-..."
        const std::size_t line = modelfile.rfind('\n', blob) + 1;
        constexpr std::string_view kFrom = "FROM ";
        if (wire::is_loopback(target.base) && !info.digest.empty() && modelfile.substr(line).starts_with(kFrom))
            info.file = modelfile.substr(line + kFrom.size(), blob + kBlob.size() + 64 - line - kFrom.size());
    }
    for (std::size_t i = 0; i < json.size("/capabilities").value_or(0); ++i)
        if (json.text(fmt::format("/capabilities/{}", i)) == "thinking")
            info.notes.emplace_back("This model thinks before it answers; its reasoning counts as output tokens.");
}

void write_settings(const EngineOptions& options, TargetInfo& info) {
    const auto set = [&](const char* name, const std::optional<int>& value) {
        if (value) info.settings[name] = fmt::format("{}", *value);
    };
    set("num_ctx", options.num_ctx);
    set("num_batch", options.num_batch);
    set("num_gpu", options.num_gpu);
    set("num_thread", options.num_thread);
    if (!options.keep_alive.empty()) info.settings["keep_alive"] = options.keep_alive;
}

Result<TargetInfo> describe(Target& target, const http::Caller& ask) {
    const auto version = server_version(target, ask);
    if (!version) return version.error();

    base::JsonWriter body;
    body.begin_object().field("model", target.spec.model).end_object();
    const HttpResponse shown = ask(post(target, "/api/show", body), kShortAnswer);
    if (!shown.arrived()) return transport_error(target, "Ollama", shown);
    if (shown.status != 200) {
        Error error = refusal(target, shown.status, shown.body);
        if (error.code == ErrorCode::kModelNotFound)
            error.hint = model_hint(error.hint, model_names(ask, target), target.spec.model);
        return error;
    }
    TargetInfo info{.kind = "ollama",
                    .display_name = "Ollama",
                    .version = *version,
                    .address = target.base.text(),
                    .model = target.spec.model};
    JsonReader json;
    if (json.parse(shown.body)) read_show(json, target, info);
    write_settings(target.spec.options, info);
    if (target.spec.endpoint == "chat") info.settings["endpoint"] = "/api/chat";
    return info;
}

/// What /api/ps says of the model; absent when it isn't in memory.
std::optional<LoadedModel> resident(const Target& target, const http::Caller& ask) {
    const HttpResponse response = ask(get(target, "/api/ps"), kShortAnswer);
    JsonReader json;
    if (response.status != 200 || !json.parse(response.body)) return std::nullopt;
    const auto same = [&](std::string_view name) {
        const std::string& wanted = target.spec.model;
        return name == wanted || (wanted.find(':') == std::string::npos && name == wanted + ":latest");
    };
    for (std::size_t i = 0; i < json.size("/models").value_or(0); ++i) {
        const auto at = [&](std::string_view field) { return fmt::format("/models/{}/{}", i, field); };
        if (!same(json.text(at("name")).value_or("")) && !same(json.text(at("model")).value_or(""))) continue;
        LoadedModel model;
        model.bytes = json.integer(at("size"));
        model.context_tokens = json.integer(at("context_length"));
        const auto vram = json.integer(at("size_vram"));
        if (model.bytes && vram && *model.bytes > 0)
            model.gpu_share = static_cast<double>(*vram) / static_cast<double>(*model.bytes);
        return model;
    }
    return std::nullopt;
}

/// An empty prompt loads the model, with the options that the measured requests will have.
HttpRequest load_request(const Target& target) {
    base::JsonWriter json;
    json.begin_object().field("model", target.spec.model).field("stream", false);
    write_keep_alive(json, target.spec.options.keep_alive);
    json.key("options").begin_object();
    write_engine_options(json, target.spec.options);
    json.end_object().end_object();
    return post(target, "/api/generate", json);
}

Result<LoadedModel> load(const Target& target, const http::Caller& ask) {
    const bool was_resident = resident(target, ask).has_value();
    const HttpResponse response = ask(load_request(target), kLoadPatience * target.spec.timeout);
    if (!response.arrived()) return transport_error(target, "Ollama", response);
    if (response.status != 200) return refusal(target, response.status, response.body);
    LoadedModel model = resident(target, ask).value_or(LoadedModel{});
    model.was_resident = was_resident;
    return model;
}

Result<void> unload(const Target& target, const http::Caller& ask) {
    base::JsonWriter json;
    json.begin_object().field("model", target.spec.model).field("stream", false).field("keep_alive", 0).end_object();
    const HttpResponse response = ask(post(target, "/api/generate", json), kShortAnswer);
    if (!response.arrived()) return transport_error(target, "Ollama", response);
    if (response.status != 200) return refusal(target, response.status, response.body);
    // The answer comes before the memory is free; /api/ps tells when it is (measured: within 1.5 s).
    for (int look = 0; look < 100; ++look) {
        if (!resident(target, ask)) return {};
        ask.wait(std::chrono::milliseconds(100));
    }
    return Error{ErrorCode::kFailed, "Ollama said that it unloaded the model, and still lists it",
                 "Wait a moment and try again, or restart Ollama."};
}

}  // namespace

const Dialect& ollama_dialect() {
    static const Dialect dialect{"ollama", "Ollama", Framing::kNdjson, generate,      read_event, refusal,
                                 describe, load,     unload,           "/api/version"};
    return dialect;
}

}  // namespace velollm::backend
