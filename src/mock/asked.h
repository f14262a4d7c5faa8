#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "serde/mock_script.h"

namespace velollm::mock {

/// What a generate request wants, out of its body.
struct Asked {
    std::string model;   ///< empty when the body names none
    std::string prompt;  ///< of a chat: the contents of all messages, a space between them
    bool has_prompt = false;
    bool stream = true;
    std::optional<std::int64_t> max_tokens;  ///< absent: as many as the server likes
    bool include_usage = false;
    bool timings_per_token = false;
    bool return_progress = false;
    bool unload = false;  ///< Ollama's keep_alive of 0
};

/// The dialect whose generate endpoint `path` is; nothing for other paths.
std::optional<Wire> wire_of_path(std::string_view path);

/// Reads the body of a generate request; nothing when it isn't JSON.
std::optional<Asked> read_asked(Wire wire, std::string_view body);

/// Words of `text`: the mock's tokens.
std::int64_t count_words(std::string_view text);

}  // namespace velollm::mock
