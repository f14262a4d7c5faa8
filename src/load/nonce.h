#pragma once

#include <cstdint>
#include <string>

namespace velollm::load {

/// Makes text to put in front of a prompt, so that no engine can answer it from the cache of an earlier one.
///
/// A nonce is six short words, about as many tokens, followed by an empty line. The first word is another one in each
/// of 256 consecutive nonces, so nothing behind the chat template is shared within a run; the rest carries 40 bits of
/// `run_id` and counter, so that nothing of note is shared with other runs either.
class NonceSource {
public:
    explicit NonceSource(std::uint64_t run_id) : run_id_(run_id) {}
    std::string next();

private:
    std::uint64_t run_id_;
    std::uint64_t counter_ = 0;
};

}  // namespace velollm::load
