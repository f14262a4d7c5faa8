#pragma once

#include <velollm/result.h>
#include <velollm/spec.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "backend/greedy_choice.h"

struct llama_context;
struct llama_context_params;
struct llama_model;

namespace velollm::backend {

/// Most tokens drafted in a step unless EngineOptions::draft_tokens says otherwise: by look-up a wrong draft costs its
/// check alone, by a model its making too, for which llama-server's own number is taken.
inline constexpr int kLookupDraftTokens = 16;
inline constexpr int kModelDraftTokens = 3;

/// Whether the embedded engine has what is asked for: "off", "ngram", or "draft-simple" with a model that drafts.
Result<void> check_embedded_speculation(const EngineOptions& options, bool has_draft_model);

/// Whether a context of this model can forget its last tokens again: a recurrent state holds all of them in one.
Result<void> check_can_forget(const llama_model* model, llama_context* context);

/// Proposes how a text goes on.
struct Drafter {
    virtual ~Drafter() = default;
    /// A new text, evaluated up to its end: whatever takes long for it is done here, as part of the prompt's time.
    virtual Result<void> begin(const std::vector<TokenId>& text) = 0;
    /// At most `most` tokens that may follow, or none.
    virtual Result<std::vector<TokenId>> draft(const std::vector<TokenId>& text, std::size_t most) = 0;
    virtual std::int64_t weight_bytes() const { return 0; }  ///< of a model of its own
};

/// Drafts from the text itself.
std::unique_ptr<Drafter> make_lookup_drafter();

/// Drafts with a second model. `like` gives the context's size, threads and interruption; `target` is the model whose
/// vocabulary it must share.
Result<std::unique_ptr<Drafter>> make_model_drafter(const std::filesystem::path& file, const llama_model* target,
                                                    const llama_context_params& like, int gpu_layers);

/// What a step brought.
struct SpeculativeStep {
    int code = 0;                 ///< of llama_decode: 0 is success
    std::vector<TokenId> tokens;  ///< the drafted ones that were right, and the one behind them
    bool forgotten = true;        ///< what was wrong could be taken out of the cache again
};

/// Evaluates the last token of a text and a draft behind it in one batch. Keeps of the draft what greedy choice would
/// have taken anyway, so that the answer is the same as without (as far as a batch rounds as a single token does), and
/// takes the rest out of the cache.
SpeculativeStep verify_draft(llama_context* context, const GreedyChoice& choice, TokenId last,
                             const std::vector<TokenId>& draft);

}  // namespace velollm::backend
