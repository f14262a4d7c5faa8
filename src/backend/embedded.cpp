#include "backend/embedded.h"

#include <fmt/core.h>
#include <llama.h>

#include <algorithm>
#include <array>
#include <deque>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "backend/chat_template.h"
#include "backend/embedded_loading.h"
#include "backend/embedded_speculation.h"
#include "backend/greedy_choice.h"
#include "backend/llama_library.h"

namespace velollm::backend {
namespace {

constexpr int kDefaultContext = 4096;  // what Ollama takes
constexpr int kDefaultBatch = 512;

struct FreeContext {
    void operator()(llama_context* context) const { llama_free(context); }
};

/// A request on its way through the engine, one poll at a time.
struct Active {
    RequestId id = 0;
    Prompt prompt;
    TokenSink* sink = nullptr;
    bool begun = false;
    std::vector<llama_token> text;  // the prompt, then what was generated
    std::size_t prompt_tokens = 0;
    std::size_t evaluated = 0;  // of them
    std::int64_t drafted = 0;
    std::int64_t accepted = 0;
    TimePoint eval_begin{};
    TimePoint first_token{};

    std::int64_t generated() const { return static_cast<std::int64_t>(text.size() - prompt_tokens); }
    std::int64_t left() const { return prompt.max_tokens - generated(); }
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
        describe_speculation(info);
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
        if (drafter_) *loaded.bytes += drafter_->weight_bytes();
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
        drafter_.reset();
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
        } else if (request.evaluated < request.prompt_tokens) {
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

    bool speculates() const {
        const std::string& name = spec_.options.speculation;
        return name != "off" && (!name.empty() || !spec_.draft_file.empty());
    }

    /// Most tokens drafted in a step: all of them and the one before must fit in a batch.
    int draft_tokens() const {
        if (!speculates()) return 0;
        const int usual = spec_.draft_file.empty() ? kLookupDraftTokens : kModelDraftTokens;
        return std::min(spec_.options.draft_tokens.value_or(usual), std::min(batch_tokens(), context_tokens()) - 1);
    }

    void describe_speculation(TargetInfo& info) const {
        if (!speculates()) return;
        const std::string model = spec_.draft_file.filename().string();
        info.speculation = Speculation{model.empty() ? "ngram" : "draft-simple", model, draft_tokens()};
        info.settings["spec_type"] = info.speculation->type;
        info.settings["draft_tokens"] = fmt::format("{}", draft_tokens());
        if (!model.empty()) info.settings["draft"] = model;
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
                                                       .outputs = 1 + draft_tokens(),
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
        // As a server of one slot: not a row of logits for every token of a batch.
        params.n_outputs_max = static_cast<std::uint32_t>(1 + draft_tokens());
        params.swa_full = false;  // blocks with a window keep the window alone, as servers have it
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
        choice_ = GreedyChoice(vocab_);
        if (!speculates()) return {};
        auto drafter = make_drafter(params);
        if (drafter) {
            drafter_ = std::move(*drafter);
            return {};
        }
        context_.reset();
        model_.reset();
        return drafter.error();
    }

    Result<std::unique_ptr<Drafter>> make_drafter(const llama_context_params& params) const {
        if (const auto can = check_can_forget(model_.get(), context_.get()); !can) return can.error();
        if (spec_.draft_file.empty()) return make_lookup_drafter();
        return make_model_drafter(spec_.draft_file, model_.get(), params, spec_.options.num_gpu.value_or(-1));
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
        request.text = tokenize(spec_.raw ? request.prompt.text : in_chat_template(*model_, request.prompt.text));
        request.prompt_tokens = request.text.size();
        request.eval_begin = clock_.now();
        const auto needed = static_cast<std::int64_t>(request.prompt_tokens) + request.prompt.max_tokens;
        if (request.text.empty() || needed > llama_n_ctx(context_.get())) {
            return fail(request, {ErrorCode::kFailed,
                                  fmt::format("prompt and answer need {} tokens, the context has {}", needed,
                                              llama_n_ctx(context_.get())),
                                  fmt::format("Allow more: --num-ctx {}", (needed + 255) / 256 * 256)});
        }
        llama_memory_clear(llama_get_memory(context_.get()), false);
    }

    void evaluate_prompt(Active& request) {
        const std::size_t left = request.prompt_tokens - request.evaluated;
        const std::size_t count = std::min(left, static_cast<std::size_t>(llama_n_batch(context_.get())));
        if (!decode(request, &request.text[request.evaluated], count)) return;
        request.evaluated += count;
        if (request.evaluated < request.prompt_tokens) return;
        if (drafter_) {
            if (const auto ready = drafter_->begin(request.text); !ready) return fail(request, ready.error());
        }
        emit(request, {choice_.behind(context_.get(), -1)});
    }

    void generate(Active& request) {
        if (drafter_) return generate_from_draft(request);
        if (decode(request, &request.text.back(), 1)) emit(request, {choice_.behind(context_.get(), -1)});
    }

    void generate_from_draft(Active& request) {
        const auto most = std::min<std::int64_t>(draft_tokens(), request.left() - 1);
        auto draft = drafter_->draft(request.text, static_cast<std::size_t>(most));
        if (!draft) return fail(request, draft.error());
        // Choice never takes such a token: what stands behind it would be checked for nothing.
        draft->erase(std::find_if(draft->begin(), draft->end(), [&](llama_token t) { return choice_.ends_text(t); }),
                     draft->end());
        const SpeculativeStep step = verify_draft(context_.get(), choice_, request.text.back(), *draft);
        if (!succeeded(request, step.code)) return;
        if (!step.forgotten)
            return fail(request, {ErrorCode::kFailed, "The model's cache can't be cut back to before a wrong draft",
                                  "Leave out --speculation and --draft."});
        request.drafted += static_cast<std::int64_t>(draft->size());
        request.accepted += static_cast<std::int64_t>(step.tokens.size()) - 1;
        emit(request, step.tokens);
    }

    /// False when it failed (the request is gone) or was interrupted (the caller will cancel it).
    bool decode(Active& request, llama_token* tokens, std::size_t count) {
        const int code = llama_decode(context_.get(), llama_batch_get_one(tokens, static_cast<int>(count)));
        return succeeded(request, code);
    }

    bool succeeded(Active& request, int code) {
        constexpr int kAborted = 2;
        if (code != 0 && code != kAborted)
            fail(request, {ErrorCode::kFailed, fmt::format("llama.cpp failed ({}): {}", code, llama_errors()),
                           "A smaller --num-ctx or --num-batch needs less memory."});
        return code == 0;
    }

    std::string text_of(llama_token token) const {
        std::array<char, 256> text{};
        const int length = llama_token_to_piece(vocab_, token, text.data(), static_cast<int>(text.size()), 0, true);
        return {text.data(), static_cast<std::size_t>(std::max(length, 0))};
    }

    /// The tokens of a step became known together: they share a stamp.
    void emit(Active& request, const std::vector<llama_token>& tokens) {
        std::vector<std::string> pieces;
        for (const llama_token token : tokens) pieces.push_back(text_of(token));
        const TimePoint now = clock_.now();
        if (request.generated() == 0) {
            request.first_token = now;
            request.sink->on_first_byte(request.id, now);
        }
        request.text.insert(request.text.end(), tokens.begin(), tokens.end());
        for (const std::string& piece : pieces)
            request.sink->on_tokens(request.id, now, {.kind = TokenKind::kContent, .text = piece, .tokens = 1});
        if (request.left() <= 0) finish(request, now);
    }

    void finish(Active& request, TimePoint now) {
        ServerReport report;
        report.prompt_tokens = static_cast<std::int64_t>(request.prompt_tokens);
        report.cached_tokens = 0;  // the cache was emptied
        report.output_tokens = request.generated();
        report.hidden_tokens = 0;
        report.prompt_eval = request.first_token - request.eval_begin;
        report.eval = now - request.first_token;
        if (drafter_) {
            report.draft_tokens = request.drafted;
            report.accepted_tokens = request.accepted;
        }
        report.finish = FinishReason::kLength;
        close(request, now, {Outcome::kOk, {}, report});
    }

    void fail(Active& request, Error error) { close(request, clock_.now(), {Outcome::kError, std::move(error), {}}); }

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
    GreedyChoice choice_;
    std::unique_ptr<Drafter> drafter_;  // absent: no speculation
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
    if (const auto known = check_embedded_speculation(spec.options, !spec.draft_file.empty()); !known)
        return known.error();
    const auto kv = cache_type(spec.options.kv_type.empty() ? "f16" : spec.options.kv_type);
    if (!kv) return kv.error();
    return std::unique_ptr<Backend>(
        std::make_unique<EmbeddedBackend>(std::move(spec), static_cast<ggml_type>(*kv), clock));
}

}  // namespace velollm::backend
