#pragma once

#include <velollm/result.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>

namespace velollm::backend {

/// Counts the tokens of a text as a model's tokenizer cuts it. The tokens that a model generated may have been others:
/// the same text can be cut in several ways (method 1.2, level D), so this is an estimate.
struct Tokenizer {
    virtual ~Tokenizer() = default;
    /// Nothing for a text that it can't cut, and for an empty one.
    virtual std::optional<std::int64_t> count(std::string_view text) const = 0;
};

/// Reads the vocabulary of a GGUF file, and no weights. Needs the embedded engine.
Result<std::unique_ptr<Tokenizer>> load_tokenizer(const std::filesystem::path& gguf);

}  // namespace velollm::backend
