#include "backend/embedded.h"

#include <fmt/core.h>
#include <llama.h>

#include <algorithm>
#include <array>
#include <deque>
#include <limits>
#include <thread>
#include <utility>
#include <vector>

#include "backend/chat_template.h"
#include "backend/llama_library.h"
#include "base/text.h"

namespace velollm::backend {
namespace {

constexpr int kDefaultContext = 4096;  // what Ollama takes
constexpr int kDefaultBatch = 512;

struct FreeContext {
    void operator()(llama_context* context) const { llama_free(context); }
};

Result<ggml_type> kv_type(const std::string& name) {
    for (const ggml_type type : {GGML_TYPE_F16, GGML_TYPE_F32, GGML_TYPE_BF16, GGML_TYPE_Q8_0, GGML_TYPE_Q5_1,
                                 GGML_TYPE_Q5_0, GGML_TYPE_Q4_1, GGML_TYPE_Q4_0})
        if (name == ggml_type_name(type)) return type;
    return Error{ErrorCode::kUsage, fmt::format("Unknown KV cache type: {}", name),
                 "Known are f16, f32, bf16, q8_0, q5_1, q5_0, q4_1, q4_0."};
}

/// What the model's own failure text means for its user.
Error load_error(const EmbeddedSpec& spec) {
    const std::string& log = llama_errors();
    const std::string path = spec.file.path.string();
    if (log.find("unknown model architecture") != std::string::npos) {
        return {ErrorCode::kFailed,
                fmt::format("llama.cpp {} does not know the architecture '{}' of {}", embedded_engine_version(),
                            spec.file.header.architecture, path),
                "A newer engine may: measure it through a server, -b ollama or -b llamacpp."};
    }
    return {ErrorCode::kFailed,
            fmt::format("llama.cpp could not load {}: {}", path, log.empty() ? "no reason given" : log),
            "The file may be damaged (download it again) or too new for this engine."};
}

Error no_memory(const EmbeddedSpec& spec, std::int64_t needed) {
    const auto gb = [](std::int64_t bytes) { return static_cast<double>(bytes) / 1e9; };
    return {ErrorCode::kFailed,
            fmt::format("{} needs about {:.1f} GB of memory, and {:.1f} GB are free", spec.model, gb(needed),
                        gb(spec.memory_bytes.value_or(0))),
            "Take a smaller model or quantisation, a smaller context (--num-ctx 2048), or close other programs."};
}

/// Where the largest of `count` > 0 values is, the first of equals. Written in lanes that the compiler turns into
/// vector instructions: over a vocabulary of 50,000, std::max_element takes ten times as long, 2 % of a small model's
/// token.
std::size_t index_of_largest(const float* values, std::size_t count) {
    constexpr std::size_t kLanes = 16;
    std::array<float, kLanes> largest;
    largest.fill(values[0]);
    std::size_t i = 0;
    for (; i + kLanes <= count; i += kLanes)
        for (std::size_t lane = 0; lane < kLanes; ++lane)
            largest[lane] = values[i + lane] > largest[lane] ? values[i + lane] : largest[lane];
    float best = *std::max_element(largest.begin(), largest.end());
    for (; i < count; ++i) best = std::max(best, values[i]);
    const auto found = static_cast<std::size_t>(std::find(values, values + count, best) - values);
    return found < count ? found : 0;  // not a number: any token will do, and none must be out of range
}

/// A request on its way through the engine, one poll at a time.
struct Active {
    RequestId id = 0;
    Prompt prompt;
    TokenSink* sink = nullptr;
    bool begun = false;
    std::vector<llama_token> tokens;  // the prompt's
    std::size_t evaluated = 0;        // of them
    std::int64_t generated = 0;
    llama_token last = 0;
    TimePoint eval_begin{};
    TimePoint first_token{};
};

class EmbeddedBackend final : public Backend {
public:
    EmbeddedBackend(EmbeddedSpec spec, ggml_type kv, Clock& clock) : spec_(std::move(spec)), kv_(kv), clock_(clock) {}

    Result<TargetInfo> describe() override {
        const gguf::Header& header = spec_.file.header;
        TargetInfo info{.kind = "embedded",
                        .display_name = "llama.cpp",
                        .version = embedded_engine_version(),
                        .address = spec_.file.path.string(),
                        .file = spec_.file.path.string(),
                        .model = spec_.model,
                        .family = header.architecture,
                        .quantization = header.quantization,
                        .digest = spec_.digest,
                        .parameters = header.parameters,
                        .file_bytes = spec_.file.file_bytes};
        info.settings = {{"num_ctx", fmt::format("{}", context_tokens())},
                         {"num_batch", fmt::format("{}", batch_tokens())},
                         {"num_thread", fmt::format("{}", threads())},
                         {"flash_attention", flash_attention_name()},
                         {"kv_type", ggml_type_name(kv_)},
                         {"ignore_eos", "true"}};
        if (spec_.options.num_gpu) info.settings["num_gpu"] = fmt::format("{}", *spec_.options.num_gpu);
        if (spec_.options.num_gpu.value_or(0) > 0 && !llama_supports_gpu_offload())
            info.notes.emplace_back("num_gpu does nothing: this build of the engine has no GPU support");
        if (spec_.options.num_ctx.value_or(0) > context_tokens())
            info.notes.push_back(
                fmt::format("num_ctx cut to the {} tokens the model was trained for", context_tokens()));
        return info;
    }

    Result<LoadedModel> load() override {
        LoadedModel loaded;
        const TimePoint begin = clock_.now();
        loaded.was_resident = context_ != nullptr;
        if (!context_) {
            if (const auto done = load_model(); !done) return done.error();
        }
        loaded.took = clock_.now() - begin;
        loaded.bytes = static_cast<std::int64_t>(llama_model_size(model_.get())) + context_bytes();
        if (!llama_supports_gpu_offload()) loaded.gpu_share = 0.0;
        loaded.context_tokens = llama_n_ctx(context_.get());
        loaded.threads = threads();
        const std::string framed = in_chat_template(*model_, kTemplateMark);
        if (const std::size_t mark = framed.find(kTemplateMark); mark != std::string::npos) {
            loaded.prompt_prefix = framed.substr(0, mark);
            loaded.prompt_suffix = framed.substr(mark + std::string_view(kTemplateMark).size());
        }
        return loaded;
    }

    Result<void> unload() override {
        context_.reset();
        model_.reset();
        return {};
    }

    void start(RequestId id, const Prompt& prompt, TokenSink& sink) override {
        queue_.push_back(Active{.id = id, .prompt = prompt, .sink = &sink});
    }

    void cancel(RequestId id) override {
        std::erase_if(queue_, [&](const Active& request) { return request.id == id; });
    }

    void poll(TimePoint until) override {
        if (queue_.empty()) {
            std::this_thread::sleep_until(until);
            return;
        }
        Active& request = queue_.front();
        if (!request.begun) {
            begin(request);
        } else if (request.evaluated < request.tokens.size()) {
            evaluate_prompt(request);
        } else {
            generate(request);
        }
    }

private:
    int threads() const { return spec_.options.num_thread.value_or(spec_.threads); }
    int batch_tokens() const { return std::max(1, spec_.options.num_batch.value_or(kDefaultBatch)); }

    int context_tokens() const {
        const int wanted = spec_.options.num_ctx.value_or(kDefaultContext);
        const std::int64_t trained = spec_.file.header.context_length.value_or(wanted);
        return static_cast<int>(std::clamp<std::int64_t>(wanted, 1, std::max<std::int64_t>(1, trained)));
    }

    const char* flash_attention_name() const {
        return spec_.options.flash_attention.empty() ? "auto" : spec_.options.flash_attention.c_str();
    }

    std::int64_t context_bytes() const {
        if (!spec_.context_bytes) return 0;
        const auto type = static_cast<std::uint32_t>(kv_);
        return spec_.context_bytes(spec_.file.header, {.context_tokens = context_tokens(),
                                                       .batch_tokens = batch_tokens(),
                                                       .ubatch_tokens = batch_tokens(),
                                                       .outputs = 1,
                                                       .key_type = type,
                                                       .value_type = type,
                                                       .flash_attention = spec_.options.flash_attention != "off"});
    }

    Result<void> load_model() {
        start_llama_once();
        const std::int64_t needed = spec_.file.file_bytes + context_bytes();
        if (spec_.memory_bytes && needed > *spec_.memory_bytes && !llama_supports_gpu_offload())
            return no_memory(spec_, needed);

        llama_errors().clear();
        llama_model_params params = llama_model_default_params();
        if (spec_.options.num_gpu) params.n_gpu_layers = *spec_.options.num_gpu;
        params.progress_callback = [](float, void* self) { return !static_cast<EmbeddedBackend*>(self)->stop_asked(); };
        params.progress_callback_user_data = this;
        model_.reset(llama_model_load_from_file(spec_.file.path.c_str(), params));
        if (stop_asked()) return Error{ErrorCode::kInterrupted, "Stopped while loading the model", ""};
        if (!model_) return load_error(spec_);
        return make_context();
    }

    Result<void> make_context() {
        llama_context_params params = llama_context_default_params();
        params.n_ctx = static_cast<std::uint32_t>(context_tokens());
        params.n_batch = params.n_ubatch = static_cast<std::uint32_t>(std::min(batch_tokens(), context_tokens()));
        params.n_threads = params.n_threads_batch = threads();
        params.type_k = params.type_v = kv_;
        params.n_outputs_max = 1;  // as a server of one slot: not a row of logits for every token of a batch
        params.swa_full = false;   // blocks with a window keep the window alone, as servers have it
        const std::string& flash = spec_.options.flash_attention;
        params.flash_attn_type = flash == "on"    ? LLAMA_FLASH_ATTN_TYPE_ENABLED
                                 : flash == "off" ? LLAMA_FLASH_ATTN_TYPE_DISABLED
                                                  : LLAMA_FLASH_ATTN_TYPE_AUTO;
        params.abort_callback = [](void* self) { return static_cast<EmbeddedBackend*>(self)->stop_asked(); };
        params.abort_callback_data = this;
        context_.reset(llama_init_from_model(model_.get(), params));
        if (!context_) {
            const std::string log = llama_errors();
            model_.reset();
            return Error{ErrorCode::kFailed, fmt::format("llama.cpp could not set up the context: {}", log),
                         "A smaller --num-ctx needs less memory; a quantised --kv-type needs --flash-attn on."};
        }
        vocab_ = llama_model_get_vocab(model_.get());
        end_tokens_.clear();
        for (llama_token token = 0; token < llama_vocab_n_tokens(vocab_); ++token)
            if (llama_vocab_is_eog(vocab_, token)) end_tokens_.push_back(token);
        return {};
    }

    bool stop_asked() const { return spec_.interrupted && spec_.interrupted(); }

    std::vector<llama_token> tokenize(const std::string& text) const {
        std::vector<llama_token> tokens(text.size() + 8);
        const int count = llama_tokenize(vocab_, text.data(), static_cast<int>(text.size()), tokens.data(),
                                         static_cast<int>(tokens.size()), true, true);
        tokens.resize(static_cast<std::size_t>(std::max(count, 0)));
        return tokens;
    }

    void begin(Active& request) {
        request.begun = true;
        request.sink->on_sent(request.id, clock_.now(), std::nullopt);
        request.tokens = tokenize(spec_.raw ? request.prompt.text : in_chat_template(*model_, request.prompt.text));
        request.eval_begin = clock_.now();
        const auto needed = static_cast<std::int64_t>(request.tokens.size()) + request.prompt.max_tokens;
        if (request.tokens.empty() || needed > llama_n_ctx(context_.get())) {
            fail(request,
                 fmt::format("prompt and answer need {} tokens, the context has {}", needed,
                             llama_n_ctx(context_.get())),
                 fmt::format("Allow more: --num-ctx {}", (needed + 255) / 256 * 256));
            return;
        }
        llama_memory_clear(llama_get_memory(context_.get()), false);
    }

    void evaluate_prompt(Active& request) {
        const std::size_t left = request.tokens.size() - request.evaluated;
        const std::size_t count = std::min(left, static_cast<std::size_t>(llama_n_batch(context_.get())));
        if (!decode(request, &request.tokens[request.evaluated], count)) return;
        request.evaluated += count;
        if (request.evaluated == request.tokens.size()) emit(request);
    }

    void generate(Active& request) {
        if (decode(request, &request.last, 1)) emit(request);
    }

    /// False when it failed (the request is gone) or was interrupted (the caller will cancel it).
    bool decode(Active& request, llama_token* tokens, std::size_t count) {
        const int code = llama_decode(context_.get(), llama_batch_get_one(tokens, static_cast<int>(count)));
        constexpr int kAborted = 2;
        if (code != 0 && code != kAborted)
            fail(request, fmt::format("llama.cpp failed ({}): {}", code, llama_errors()),
                 "A smaller --num-ctx or --num-batch needs less memory.");
        return code == 0;
    }

    /// The likeliest token that doesn't end the text. Waits until the logits are there.
    llama_token sample() {
        float* logits = llama_get_logits_ith(context_.get(), -1);
        for (const llama_token end : end_tokens_) logits[end] = -std::numeric_limits<float>::infinity();
        return static_cast<llama_token>(
            index_of_largest(logits, static_cast<std::size_t>(llama_vocab_n_tokens(vocab_))));
    }

    void emit(Active& request) {
        request.last = sample();
        std::array<char, 256> text{};
        const int length =
            llama_token_to_piece(vocab_, request.last, text.data(), static_cast<int>(text.size()), 0, true);
        const TimePoint now = clock_.now();
        if (request.generated++ == 0) {
            request.first_token = now;
            request.sink->on_first_byte(request.id, now);
        }
        const std::string_view piece(text.data(), static_cast<std::size_t>(std::max(length, 0)));
        request.sink->on_tokens(request.id, now, {.kind = TokenKind::kContent, .text = piece, .tokens = 1});
        if (request.generated >= request.prompt.max_tokens) finish(request, now);
    }

    void finish(Active& request, TimePoint now) {
        ServerReport report;
        report.prompt_tokens = static_cast<std::int64_t>(request.tokens.size());
        report.cached_tokens = 0;  // the cache was emptied
        report.output_tokens = request.generated;
        report.hidden_tokens = 0;
        report.prompt_eval = request.first_token - request.eval_begin;
        report.eval = now - request.first_token;
        report.finish = FinishReason::kLength;
        close(request, now, {Outcome::kOk, {}, report});
    }

    void fail(Active& request, std::string message, std::string hint) {
        close(request, clock_.now(), {Outcome::kError, {ErrorCode::kFailed, std::move(message), std::move(hint)}, {}});
    }

    void close(const Active& request, TimePoint now, const Completion& completion) {
        TokenSink* sink = request.sink;
        const RequestId id = request.id;
        queue_.pop_front();
        sink->on_done(id, now, completion);
    }

    EmbeddedSpec spec_;
    ggml_type kv_;
    Clock& clock_;
    std::unique_ptr<llama_model, FreeModel> model_;
    std::unique_ptr<llama_context, FreeContext> context_;  // after the model: must go first
    const llama_vocab* vocab_ = nullptr;
    std::vector<llama_token> end_tokens_;
    std::deque<Active> queue_;
};

}  // namespace

std::string embedded_engine_version() {
    return llama_version();
}

Result<std::unique_ptr<Backend>> make_embedded_backend(EmbeddedSpec spec, Clock& clock) {
    const std::string& flash = spec.options.flash_attention;
    if (!flash.empty() && flash != "on" && flash != "off" && flash != "auto")
        return Error{ErrorCode::kUsage, fmt::format("Unknown value for flash attention: {}", flash),
                     "Take on, off or auto."};
    if (spec.options.num_thread.value_or(1) < 1) return Error{ErrorCode::kUsage, "num_thread must be at least 1", ""};
    const auto kv = kv_type(spec.options.kv_type.empty() ? "f16" : spec.options.kv_type);
    if (!kv) return kv.error();
    return std::unique_ptr<Backend>(std::make_unique<EmbeddedBackend>(std::move(spec), *kv, clock));
}

}  // namespace velollm::backend
