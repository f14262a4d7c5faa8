#include "mock/discovery.h"

#include <fmt/format.h>

#include "base/json_writer.h"
#include "mock/render.h"
#include "wire/json_reader.h"

namespace velollm::mock {
namespace {

constexpr const char* kJson = "application/json; charset=utf-8";
constexpr std::int64_t kContext = 4096;
// Any fixed one will do; a client compares it with nothing but itself.
constexpr const char* kDigest = "00000000000000000000000000000000000000000000000000000000000000aa";
constexpr const char* kDetails =
    R"({"parent_model":"","format":"gguf","family":"llama","families":["llama"],"parameter_size":"1B","quantization_level":"Q4_1"})";

std::string model_list(const ServerState& state, bool running) {
    base::JsonWriter json;
    json.begin_object().key("models").begin_array();
    if (!running || state.loaded) {
        json.begin_object().field("name", state.model).field("model", state.model);
        if (!running) json.field("modified_at", ollama_time(state.wall_ns));
        json.field("size", 1'000'000'000).field("digest", kDigest).key("details").raw(kDetails);
        if (running) {
            json.field("expires_at", ollama_time(state.wall_ns + 300'000'000'000));
            json.field("size_vram", 0).field("context_length", kContext);
        }
        json.end_object();
    }
    return json.end_array().end_object().text();
}

std::string show(const ServerState& state) {
    base::JsonWriter json;
    json.begin_object();
    json.field("modelfile", fmt::format("FROM /models/blobs/sha256-{}\n", kDigest)).field("template", "{{ .Prompt }}");
    json.key("details").raw(kDetails).key("model_info").begin_object();
    json.field("general.architecture", "llama").field("general.parameter_count", 1'000'000'000);
    json.field("llama.context_length", kContext).end_object();
    json.key("capabilities").begin_array().value("completion").end_array();
    return json.field("modified_at", ollama_time(state.wall_ns)).end_object().text();
}

std::string openai_models(const ServerState& state) {
    base::JsonWriter json;
    json.begin_object().field("object", "list").key("data").begin_array().begin_object();
    json.field("id", state.model).field("object", "model").field("created", state.wall_ns / 1'000'000'000);
    json.field("owned_by", "llamacpp").key("meta").begin_object();
    json.field("vocab_type", 2).field("n_vocab", 49152).field("n_ctx", kContext).field("n_ctx_train", kContext);
    json.field("n_embd", 2048).field("n_params", 1'000'000'000).field("size", 1'000'000'000).field("ftype", "Q4_1");
    return json.end_object().end_object().end_array().end_object().text();
}

std::string props(const ServerState& state) {
    base::JsonWriter json;
    json.begin_object().key("default_generation_settings").begin_object().field("n_ctx", kContext).end_object();
    json.field("total_slots", state.slots).field("model_alias", state.model).field("model_ftype", "Q4_1");
    json.field("model_path", "models/mock.gguf").field("endpoint_slots", true).field("endpoint_props", false);
    json.field("endpoint_metrics", false);
    return json.field("build_info", "b1-mock").field("is_sleeping", false).end_object().text();
}

std::string slots(const ServerState& state) {
    base::JsonWriter json;
    json.begin_array();
    for (std::int64_t i = 0; i < state.slots; ++i) {
        json.begin_object().field("id", i).field("n_ctx", kContext).field("speculative", false);
        json.field("is_processing", i < state.active).end_object();
    }
    return json.end_array().text();
}

std::string apply_template(const HttpRequest& request) {
    std::string prompt;
    wire::JsonReader json;
    if (json.parse(request.body))
        for (std::size_t i = 0; i < json.size("/messages").value_or(0); ++i)
            prompt += fmt::format("<|im_start|>{}\n{}<|im_end|>\n",
                                  json.text(fmt::format("/messages/{}/role", i)).value_or(""),
                                  json.text(fmt::format("/messages/{}/content", i)).value_or(""));
    base::JsonWriter out;
    return out.begin_object().field("prompt", prompt + "<|im_start|>assistant\n").end_object().text();
}

std::string tokenize(const HttpRequest& request) {
    wire::JsonReader json;
    const bool read = json.parse(request.body);
    base::JsonWriter out;
    out.begin_object().key("tokens").begin_array();
    const std::int64_t words = read ? count_words(json.text("/content").value_or("")) : 0;
    for (std::int64_t i = 1; i <= words; ++i) out.value(i);
    return out.end_array().end_object().text();
}

/// Body of a path that is known; empty for others.
std::string body_of(const HttpRequest& request, const ServerState& state) {
    const std::string& path = request.path;
    if (request.method == "POST") {
        if (path == "/api/show") return show(state);
        if (path == "/apply-template") return apply_template(request);
        if (path == "/tokenize") return tokenize(request);
        return {};
    }
    if (request.method != "GET") return {};
    if (path == "/api/version") return R"({"version":"0.32.15"})";
    if (path == "/api/tags") return model_list(state, false);
    if (path == "/api/ps") return model_list(state, true);
    if (path == "/health" || path == "/v1/health") return R"({"status":"ok"})";
    if (path == "/props") return props(state);
    if (path == "/slots") return slots(state);
    if (path == "/v1/models" || path == "/models") return openai_models(state);
    return {};
}

}  // namespace

Plan discover(const HttpRequest& request, const ServerState& state) {
    const bool ollama = request.path == "/" || request.path.starts_with("/api/");
    const Wire wire = ollama ? Wire::kOllamaGenerate : Wire::kOpenaiChat;
    if (request.path == "/" && request.method != "POST")
        return plain_plan(wire, 200, "text/plain; charset=utf-8", "Ollama is running", request.keep_alive);
    const std::string body = body_of(request, state);
    if (!body.empty()) return plain_plan(wire, 200, kJson, body, request.keep_alive);
    if (ollama) return plain_plan(wire, 404, "text/plain", "404 page not found", request.keep_alive);
    return plain_plan(wire, 404, kJson, error_body(wire, 404, "File Not Found"), request.keep_alive);
}

Plan load_reply(Wire wire, const std::string& model, const char* done_reason, std::int64_t wall_ns, bool keep_alive) {
    base::JsonWriter json;
    json.begin_object().field("model", model).field("created_at", ollama_time(wall_ns));
    if (wire == Wire::kOllamaChat) {
        json.key("message").begin_object().field("role", "assistant").field("content", "").end_object();
    } else {
        json.field("response", "");
    }
    json.field("done", true).field("done_reason", done_reason).end_object();
    return plain_plan(wire, 200, kJson, json.text(), keep_alive);
}

}  // namespace velollm::mock
