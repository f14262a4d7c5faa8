#include "backend/embedded_speculation.h"

#include <fmt/core.h>
#include <llama.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "backend/llama_library.h"
#include "backend/prompt_lookup.h"

namespace velollm::backend {
namespace {

struct FreeContext {
    void operator()(llama_context* context) const { llama_free(context); }
};

class LookupDrafter final : public Drafter {
public:
    Result<void> begin(const std::vector<TokenId>&) override { return {}; }
    Result<std::vector<TokenId>> draft(const std::vector<TokenId>& text, std::size_t most) override {
        return draft_by_lookup(text, most);
    }
};

/// A model keeps what it has read of a text, and reads on from there.
class ModelDrafter final : public Drafter {
public:
    ModelDrafter(std::unique_ptr<llama_model, FreeModel> model, std::unique_ptr<llama_context, FreeContext> context,
                 TokenId known)
        : model_(std::move(model)),
          context_(std::move(context)),
          choice_(llama_model_get_vocab(model_.get())),
          known_(known) {}

    Result<void> begin(const std::vector<TokenId>& text) override {
        llama_memory_clear(llama_get_memory(context_.get()), false);
        held_.clear();
        return read(text);
    }

    Result<std::vector<TokenId>> draft(const std::vector<TokenId>& text, std::size_t most) override {
        std::vector<TokenId> drafted;
        if (const auto done = read(text); !done) return done.error();
        while (drafted.size() < most && !interrupted_) {
            const TokenId token = choice_.behind(context_.get(), -1);
            if (token >= known_) break;
            drafted.push_back(token);
            if (drafted.size() == most) break;
            held_.push_back(token);
            if (const auto done = evaluate(held_.size() - 1); !done) return done.error();
        }
        return drafted;
    }

    std::int64_t weight_bytes() const override { return static_cast<std::int64_t>(llama_model_size(model_.get())); }

private:
    /// Leaves the logits behind the last token of the text.
    Result<void> read(const std::vector<TokenId>& text) {
        const auto differ = std::mismatch(held_.begin(), held_.end(), text.begin(), text.end()).second;
        const auto same = std::min(static_cast<std::size_t>(differ - text.begin()), text.size() - 1);
        llama_memory_seq_rm(llama_get_memory(context_.get()), 0, static_cast<llama_pos>(same), -1);
        held_ = text;
        return evaluate(same);
    }

    /// What it holds from `begin` on. An interruption ends it early: the answer's own model meets it next.
    Result<void> evaluate(std::size_t begin) {
        constexpr int kAborted = 2;
        interrupted_ = false;
        while (begin < held_.size()) {
            const std::size_t count =
                std::min(held_.size() - begin, static_cast<std::size_t>(llama_n_batch(context_.get())));
            const int code = llama_decode(context_.get(), llama_batch_get_one(&held_[begin], static_cast<int>(count)));
            if (code == kAborted) {
                interrupted_ = true;
                held_.resize(begin);
                return {};
            }
            if (code != 0)
                return Error{ErrorCode::kFailed,
                             fmt::format("llama.cpp failed with the draft model ({}): {}", code, llama_errors()), ""};
            begin += count;
        }
        return {};
    }

    std::unique_ptr<llama_model, FreeModel> model_;
    std::unique_ptr<llama_context, FreeContext> context_;  // after the model: must go first
    GreedyChoice choice_;
    TokenId known_;              // tokens from here on aren't in the other model's vocabulary
    std::vector<TokenId> held_;  // of the text, as the cache has it
    bool interrupted_ = false;
};

/// Padding may differ; the tokens must not.
bool same_vocabulary(const llama_vocab* a, const llama_vocab* b) {
    constexpr int kPadding = 128;
    const int in_a = llama_vocab_n_tokens(a);
    const int in_b = llama_vocab_n_tokens(b);
    if (llama_vocab_type(a) != llama_vocab_type(b) || std::max(in_a, in_b) - std::min(in_a, in_b) > kPadding)
        return false;
    for (TokenId token = 0; token < std::min(in_a, in_b); ++token)
        if (std::string_view(llama_vocab_get_text(a, token)) != llama_vocab_get_text(b, token)) return false;
    return true;
}

}  // namespace

Result<void> check_embedded_speculation(const EngineOptions& options, bool has_draft_model) {
    const std::string& name = options.speculation;
    if (has_draft_model && !name.empty() && name != "draft-simple" && name != "off")
        return Error{ErrorCode::kUsage, fmt::format("-b embedded drafts with a model or with {}, not with both", name),
                     "Leave out --draft or --speculation."};
    if (name == "draft-simple" && !has_draft_model)
        return Error{ErrorCode::kUsage, "--speculation draft-simple needs a model that drafts",
                     "Name it:  --draft MODEL"};
    if (!name.empty() && name != "off" && name != "ngram" && name != "draft-simple")
        return Error{ErrorCode::kUsage, fmt::format("-b embedded has no speculative decoding called {}", name),
                     "It has off, ngram, and draft-simple with --draft MODEL; llama-server has more: -b llamacpp"};
    const bool drafts = has_draft_model ? name != "off" : name != "off" && !name.empty();
    if (options.draft_tokens && !drafts)
        return Error{ErrorCode::kUsage, "--draft-tokens goes with speculative decoding",
                     "Add  --speculation ngram  or  --draft MODEL"};
    if (options.draft_tokens.value_or(1) < 1)
        return Error{ErrorCode::kUsage, "--draft-tokens must be at least 1", "Or leave it out."};
    return {};
}

Result<void> check_can_forget(const llama_model* model, llama_context* context) {
    if (llama_get_memory(context) != nullptr && !llama_model_is_recurrent(model) && !llama_model_is_hybrid(model))
        return {};
    return Error{ErrorCode::kUsage,
                 "This model can't be used with speculative decoding here: its state can't be cut back",
                 "Leave it out, or let llama-server do it, which keeps copies of the state: -b llamacpp"};
}

std::unique_ptr<Drafter> make_lookup_drafter() {
    return std::make_unique<LookupDrafter>();
}

Result<std::unique_ptr<Drafter>> make_model_drafter(const std::filesystem::path& file, const llama_model* target,
                                                    const llama_context_params& like, int gpu_layers) {
    llama_errors().clear();
    llama_model_params params = llama_model_default_params();
    if (gpu_layers >= 0) params.n_gpu_layers = gpu_layers;
    std::unique_ptr<llama_model, FreeModel> model(llama_model_load_from_file(file.c_str(), params));
    if (!model)
        return Error{ErrorCode::kFailed,
                     fmt::format("llama.cpp could not load the draft model {}: {}", file.string(), llama_errors()), ""};
    const llama_vocab* theirs = llama_model_get_vocab(target);
    const llama_vocab* ours = llama_model_get_vocab(model.get());
    if (!same_vocabulary(theirs, ours))
        return Error{ErrorCode::kUsage, "The draft model has another vocabulary than the model itself",
                     "Take a smaller model of the same family."};
    llama_context_params settings = like;
    settings.n_outputs_max = 1;
    std::unique_ptr<llama_context, FreeContext> context(llama_init_from_model(model.get(), settings));
    if (!context)
        return Error{ErrorCode::kFailed,
                     fmt::format("llama.cpp could not set up the draft model's context: {}", llama_errors()),
                     "A smaller --num-ctx needs less memory."};
    if (auto can = check_can_forget(model.get(), context.get()); !can) return can.error();
    return std::unique_ptr<Drafter>(
        std::make_unique<ModelDrafter>(std::move(model), std::move(context), llama_vocab_n_tokens(theirs)));
}

SpeculativeStep verify_draft(llama_context* context, const GreedyChoice& choice, TokenId last,
                             const std::vector<TokenId>& draft) {
    std::vector<TokenId> tokens{last};
    tokens.insert(tokens.end(), draft.begin(), draft.end());
    std::vector<std::int8_t> wanted(tokens.size(), 1);
    llama_batch batch = llama_batch_get_one(tokens.data(), static_cast<int>(tokens.size()));
    batch.logits = wanted.data();
    llama_memory_t memory = llama_get_memory(context);
    const llama_pos begin = llama_memory_seq_pos_max(memory, 0) + 1;
    SpeculativeStep step;
    step.code = llama_decode(context, batch);
    if (step.code != 0) return step;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        step.tokens.push_back(choice.behind(context, static_cast<int>(i)));
        if (i < draft.size() && step.tokens.back() != draft[i]) break;
    }
    const auto right =
        static_cast<llama_pos>(step.tokens.size());  // the last token, and the drafted ones that were right
    if (step.tokens.size() < tokens.size()) step.forgotten = llama_memory_seq_rm(memory, 0, begin + right, -1);
    return step;
}

}  // namespace velollm::backend
