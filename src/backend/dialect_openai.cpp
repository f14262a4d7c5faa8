#include <fmt/core.h>

#include <algorithm>

#include "backend/dialect.h"
#include "base/json_writer.h"
#include "base/text.h"

namespace velollm::backend {
namespace {

using http::Caller;
using http::HttpRequest;
using http::HttpResponse;
using wire::JsonReader;

constexpr const char* kName = "OpenAI-compatible server";

HttpRequest generate(const Target& target, const Prompt& prompt) {
    const AcceptedFields& fields = target.accepted;
    const bool chat = target.spec.endpoint != "completions";
    base::JsonWriter json;
    json.begin_object().field("model", target.spec.model);
    if (chat) {
        write_user_message(json, prompt.text);
    } else {
        json.field("prompt", prompt.text);
    }
    json.field(fields.max_completion_tokens ? "max_completion_tokens" : "max_tokens", prompt.max_tokens);
    if (fields.temperature) json.field("temperature", 0);
    json.field("seed", prompt.seed).field("stream", true);
    if (fields.usage) {
        json.key("stream_options").begin_object().field("include_usage", true);
        if (fields.extras) json.field("continuous_usage_stats", true);
        json.end_object();
    }
    // A fixed amount of work, where the server knows how.
    if (fields.extras) json.field("ignore_eos", true).field("min_tokens", prompt.max_tokens);
    // The nonce keeps a prompt out of the cache; what the chat template puts in front of it would come from there.
    if (target.is_llama_server) json.field("cache_prompt", false);
    json.end_object();
    HttpRequest request = post(target, chat ? "/chat/completions" : "/completions", json);
    request.fresh = target.is_llama_server;
    return request;
}

Error refusal(const Target& target, int status, std::string_view body) {
    const std::string text = without_key(target, error_text(without_key(target, body)));
    std::string hint = "Look at the server's log.";
    if (status == 401 || status == 403) {
        hint = target.api_key.empty()
                   ? "Give a key: put it into an environment variable and name that, --api-key-env NAME."
                   : "The server doesn't take the key. Is the environment variable the right one? --api-key-env NAME";
    } else if (status == 404) {
        hint = "Does the server have this endpoint and model? See --url, --endpoint and -m.";
    } else if (status == 429) {
        hint = "The server limits the rate of requests, or the account's quota is used up.";
    } else if (status >= 300 && status < 400) {
        hint = "The server is elsewhere. Give its new address with --url.";
    }
    return {ErrorCode::kFailed, fmt::format("The server at {} refused ({}): {}", target.base.text(), status, text),
            hint};
}

/// Names of the models that the server has; nothing when it keeps no list.
Result<std::vector<std::string>> model_names(const Target& target, const Caller& ask, TargetInfo& info) {
    const HttpResponse response = ask(get(target, "/models"), kShortAnswer);
    if (!response.arrived()) return transport_error(target, kName, response);
    std::vector<std::string> names;
    if (response.status == 404 || response.status == 405) return names;
    if (response.status != 200) return refusal(target, response.status, response.body);
    JsonReader json;
    if (!json.parse(response.body)) {
        return Error{ErrorCode::kFailed,
                     fmt::format("No OpenAI-compatible server at {}: GET /models answered {}", target.base.text(),
                                 without_key(target, base::one_line(without_key(target, response.body), 60))),
                     "Is the address right? --url is all before /chat/completions, e.g. http://localhost:8000/v1"};
    }
    for (std::size_t i = 0; i < json.size("/data").value_or(0); ++i) {
        const auto name = json.text(fmt::format("/data/{}/id", i));
        if (!name) continue;
        names.emplace_back(*name);
        if (*name != target.spec.model && json.size("/data") != 1) continue;
        if (const auto owner = json.text(fmt::format("/data/{}/owned_by", i))) info.settings["owned_by"] = *owner;
        if (const auto context = json.integer(fmt::format("/data/{}/max_model_len", i)))
            info.settings["num_ctx"] = fmt::format("{}", *context);
    }
    return names;
}

Result<void> choose_model(Target& target, const std::vector<std::string>& names) {
    std::string& model = target.spec.model;
    if (model.empty() && names.size() == 1) {
        model = names.front();
    } else if (model.empty()) {
        return Error{ErrorCode::kUsage, "Which model? Name it with -m",
                     names.empty() ? "The server has no list of its models."
                                   : "The server has:  " + base::nearest_names("", names, false)};
    } else if (!names.empty() && std::find(names.begin(), names.end(), model) == names.end()) {
        return Error{ErrorCode::kModelNotFound, fmt::format("Model not found: {}", model),
                     model_hint("Look for its exact name at the server.", names, model)};
    }
    return {};
}

/// One token, to see which fields of a request the server takes: it is asked for less until it agrees.
Result<void> learn_fields(Target& target, const Caller& ask) {
    AcceptedFields& fields = target.accepted;
    fields = {};
    for (;;) {
        const HttpRequest request = generate(target, {.text = "Hi", .max_tokens = 1, .seed = target.spec.seed});
        const HttpResponse response = ask(request, kLoadPatience * target.spec.timeout);
        if (!response.arrived()) return transport_error(target, kName, response);
        if (response.status == 200) return {};
        const bool names_a_field = response.status == 400 || response.status == 422;
        const bool about_length = response.body.find("max_completion_tokens") != std::string::npos;
        if (names_a_field && about_length && !fields.max_completion_tokens) {
            fields.max_completion_tokens = true;
        } else if (names_a_field && fields.extras) {
            fields.extras = false;
        } else if (names_a_field && fields.temperature && response.body.find("temperature") != std::string::npos) {
            fields.temperature = false;
        } else if (names_a_field && fields.usage) {
            fields.usage = false;
        } else {
            return refusal(target, response.status, response.body);
        }
    }
}

void add_notes(const Target& target, TargetInfo& info) {
    const AcceptedFields& fields = target.accepted;
    if (!wire::is_loopback(target.base)) {
        info.notes.emplace_back("the server is on another machine: the network's time is inside TTFT");
        if (!target.api_key.empty() && target.base.scheme == "http")
            info.notes.emplace_back("the key is sent unencrypted: https:// would protect it");
    }
    if (!fields.usage) info.notes.emplace_back("the server doesn't count its tokens in a stream: they are estimated");
    if (!fields.temperature) info.notes.emplace_back("the server takes no temperature: answers differ from run to run");
    if (!fields.extras)
        info.notes.emplace_back("the server can't be told to ignore the end token: answers may be shorter than asked");
}

Result<TargetInfo> describe(Target& target, const Caller& ask) {
    TargetInfo info{.kind = "openai", .display_name = kName, .address = target.base.text()};
    const auto names = model_names(target, ask, info);
    if (!names) return names.error();
    if (const auto chosen = choose_model(target, *names); !chosen) return chosen.error();
    if (const auto learned = learn_fields(target, ask); !learned) return learned.error();
    const auto owner = info.settings.find("owned_by");
    target.is_llama_server = owner != info.settings.end() && owner->second == "llamacpp";
    info.model = target.spec.model;
    const AcceptedFields& fields = target.accepted;
    info.settings["endpoint"] = target.spec.endpoint.empty() ? "chat" : target.spec.endpoint;
    info.settings["length_field"] = fields.max_completion_tokens ? "max_completion_tokens" : "max_tokens";
    info.settings["include_usage"] = fields.usage ? "accepted" : "refused";
    info.settings["ignore_eos"] = fields.extras ? "accepted" : "refused";
    info.settings["continuous_usage_stats"] = fields.extras ? "accepted" : "refused";
    add_notes(target, info);
    return info;
}

/// describe() has made it answer: the model is there, and how long it took to come is unknown.
Result<LoadedModel> load(const Target&, const Caller&) {
    LoadedModel model;
    model.was_resident = true;
    return model;
}

Result<void> unload(const Target&, const Caller&) {
    return Error{ErrorCode::kUsage, "This server can't be told to unload its model",
                 "Restart it to measure the loading, and leave out --reload."};
}

}  // namespace

wire::Url openai_base(wire::Url url) {
    for (const std::string_view endpoint : {"/chat/completions", "/completions", "/models"})
        if (url.path.ends_with(endpoint)) url.path.resize(url.path.size() - endpoint.size());
    if (!url.path.ends_with("/v1")) url.path += "/v1";
    return url;
}

const Dialect& openai_dialect() {
    static const Dialect dialect{
        "openai", kName, Framing::kServerSentEvents, generate, read_openai_event, refusal, describe, load, unload};
    return dialect;
}

}  // namespace velollm::backend
