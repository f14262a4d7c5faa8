#include <fmt/core.h>

#include "backend/chat_template.h"
#include "backend/dialect.h"
#include "backend/event_fields.h"
#include "base/json_writer.h"
#include "base/text.h"

namespace velollm::backend {
namespace {

using http::Caller;
using http::HttpRequest;
using http::HttpResponse;
using wire::EventReader;
using wire::JsonReader;

constexpr const char* kName = "llama-server";

std::string framed(const Target& target, const Prompt& prompt) {
    return target.spec.raw ? prompt.text : target.prompt_prefix + prompt.text + target.prompt_suffix;
}

HttpRequest generate(const Target& target, const Prompt& prompt) {
    base::JsonWriter json;
    json.begin_object();
    json.field("prompt", framed(target, prompt));
    json.field("n_predict", prompt.max_tokens).field("temperature", 0).field("seed", prompt.seed);
    // A fixed amount of work, and none of it from the prompt cache.
    json.field("ignore_eos", true).field("cache_prompt", false);
    json.field("stream", true).field("return_tokens", true).end_object();
    HttpRequest request = post(target, "/completion", json);
    // It promises to keep the connection and closes it now and then behind a stream: the next request would be lost.
    request.fresh = true;
    return request;
}

HttpRequest generate_chat(const Target& target, const Prompt& prompt) {
    base::JsonWriter json;
    json.begin_object();
    write_user_message(json, prompt.text);
    json.field("max_tokens", prompt.max_tokens).field("temperature", 0).field("seed", prompt.seed);
    json.field("ignore_eos", true).field("cache_prompt", false);
    // With its measurements in every event comes a running count.
    json.field("stream", true).field("timings_per_token", true).end_object();
    HttpRequest request = post(target, "/v1/chat/completions", json);
    request.fresh = true;
    return request;
}

ServerReport final_report(EventReader& json) {
    ServerReport report;
    report.prompt_tokens = json.integer(kTokensEvaluated);
    read_llama_timings(json, report);
    const std::string_view stop = json.text(kStopType).value_or("");
    report.finish = stop == "limit"                   ? FinishReason::kLength
                    : stop == "eos" || stop == "word" ? FinishReason::kStop
                                                      : FinishReason::kUnknown;
    report.prompt_truncated = json.boolean(kTruncated).value_or(false) && stop != "limit";
    return report;
}

void read_event(EventReader& json, EventMeaning& meaning) {
    if (json.has(kError)) {
        meaning.error = json.json().value_or("");
        return;
    }
    const bool final = json.boolean(kStop).value_or(false);
    // A progress report on the prompt carries a token id of 0 and no token; the last event repeats what was there.
    if (!final && !json.has(kPromptProgress)) {
        const std::string_view content = json.text(kContent).value_or("");
        if (!content.empty() || json.size(kTokens).value_or(0) > 0) {
            meaning.tokens = TokenEvent{.kind = TokenKind::kContent, .text = content, .tokens = {}};
            // Ids can't be counted: half characters are held back, and the event that frees them has the last id only.
            meaning.running_tokens = json.integer(kTokensPredicted);
        }
    }
    if (final) {
        meaning.final = true;
        meaning.report = final_report(json);
    }
}

Error refusal(const Target&, int status, std::string_view body) {
    const std::string text = error_text(body);
    std::string hint = "Look at llama-server's own output.";
    if (text.find("exceeds the available context") != std::string::npos)
        hint = "Start llama-server with a larger context: -c 8192";
    if (status == 503) hint = "The model is still being loaded. Try again in a moment.";
    return {ErrorCode::kFailed, fmt::format("{} refused ({}): {}", kName, status, text), hint};
}

Error not_llama_server(const Target& target, const HttpResponse& response) {
    return {ErrorCode::kFailed,
            fmt::format("Not a llama-server at {}: GET /props answered {} {}", target.base.text(), response.status,
                        base::one_line(response.body, 60)),
            "Is the address right? Check --url; llama-server's usual port is 8080. For Ollama take -b ollama."};
}

/// Waits while the server says that it is loading its model.
HttpResponse props_when_ready(const Target& target, const Caller& ask) {
    HttpResponse response;
    for (Ns waited{0}; waited < kLoadPatience * target.spec.timeout; waited += std::chrono::milliseconds(200)) {
        response = ask(get(target, "/props"), kShortAnswer);
        if (response.status != 503) break;
        ask.wait(std::chrono::milliseconds(200));
    }
    return response;
}

/// Learns what the chat template puts around a user's words, by having it applied to a mark.
void learn_template(Target& target, const Caller& ask) {
    constexpr std::string_view kMark = kTemplateMark;
    base::JsonWriter body;
    body.begin_object().key("messages").begin_array().begin_object();
    body.field("role", "user").field("content", kMark).end_object().end_array().end_object();
    const HttpResponse response = ask(post(target, "/apply-template", body), kShortAnswer);
    JsonReader json;
    if (response.status != 200 || !json.parse(response.body)) return;
    const std::string_view prompt = json.text("/prompt").value_or("");
    const std::size_t mark = prompt.find(kMark);
    if (mark == std::string_view::npos) return;
    target.prompt_prefix = prompt.substr(0, mark);
    target.prompt_suffix = prompt.substr(mark + kMark.size());
}

void read_models(const Target& target, const Caller& ask, TargetInfo& info) {
    const HttpResponse response = ask(get(target, "/v1/models"), kShortAnswer);
    JsonReader json;
    if (response.status != 200 || !json.parse(response.body)) return;
    info.parameters = json.integer("/data/0/meta/n_params");
    info.file_bytes = json.integer("/data/0/meta/size");
    if (info.quantization.empty()) info.quantization = json.text("/data/0/meta/ftype").value_or("");
}

Result<TargetInfo> describe(Target& target, const Caller& ask) {
    const HttpResponse response = props_when_ready(target, ask);
    if (!response.arrived()) return transport_error(target, kName, response);
    JsonReader json;
    if (response.status != 200 || !json.parse(response.body) || !json.has("/default_generation_settings"))
        return not_llama_server(target, response);

    TargetInfo info{.kind = "llama-server", .display_name = kName, .address = target.base.text()};
    info.version = json.text("/build_info").value_or("");
    info.quantization = json.text("/model_ftype").value_or("");
    const std::string served(json.text("/model_alias").value_or(json.text("/model_path").value_or("")));
    if (target.spec.model != served && !target.spec.model.empty())
        info.notes.push_back(fmt::format("llama-server serves {}, whatever -m says", served));
    info.model = served.empty() ? target.spec.model : served;
    if (const auto slots = json.integer("/total_slots")) info.settings["slots"] = fmt::format("{}", *slots);
    if (const auto n_ctx = json.integer("/default_generation_settings/n_ctx"))
        info.settings["num_ctx"] = fmt::format("{}", *n_ctx);
    info.settings["endpoint"] = target.spec.endpoint == "chat" ? "/v1/chat/completions" : "/completion";
    read_models(target, ask, info);
    learn_template(target, ask);
    return info;
}

/// llama-server has its model in memory before it answers anything.
Result<LoadedModel> load(const Target& target, const Caller& ask) {
    LoadedModel model;
    model.was_resident = true;
    model.prompt_prefix = target.prompt_prefix;
    model.prompt_suffix = target.prompt_suffix;
    const HttpResponse response = ask(get(target, "/props"), kShortAnswer);
    JsonReader json;
    if (response.status == 200 && json.parse(response.body))
        model.context_tokens = json.integer("/default_generation_settings/n_ctx");
    return model;
}

Result<void> unload(const Target&, const Caller&) {
    return Error{ErrorCode::kUsage, "llama-server can't unload its model", "Restart it to measure the loading."};
}

HttpRequest tokenize(const Target& target, const Prompt& prompt) {
    base::JsonWriter json;
    json.begin_object().field("content", framed(target, prompt));
    json.field("add_special", true).field("parse_special", true).end_object();
    return post(target, "/tokenize", json);
}

}  // namespace

const Dialect& llama_server_dialect(const TargetSpec& spec) {
    static const Dialect chat{"llama-server",
                              kName,
                              Framing::kServerSentEvents,
                              generate_chat,
                              read_openai_event,
                              refusal,
                              describe,
                              load,
                              unload,
                              "/health",
                              tokenize};
    if (spec.endpoint == "chat") return chat;
    static const Dialect dialect{
        "llama-server", kName,   Framing::kServerSentEvents, generate, read_event, refusal, describe, load, unload,
        "/health",      tokenize};
    return dialect;
}

}  // namespace velollm::backend
