#pragma once

#include <cstdint>
#include <vector>

struct llama_context;
struct llama_vocab;

namespace velollm::backend {

/// A token's number in its vocabulary: llama.h's llama_token, which a header can't name.
using TokenId = std::int32_t;

/// Greedy sampling with the tokens ruled out that end a text, so that every answer has the length asked for.
class GreedyChoice {
public:
    GreedyChoice() = default;
    explicit GreedyChoice(const llama_vocab* vocab);

    /// The likeliest token behind token `index` of the last batch, which must have asked for its logits; -1: the last
    /// of them. Waits until they are there.
    TokenId behind(llama_context* context, int index) const;

    bool ends_text(TokenId token) const;

private:
    std::vector<TokenId> end_tokens_;
    int tokens_ = 0;
};

}  // namespace velollm::backend
