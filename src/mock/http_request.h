#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velollm::mock {

struct HttpRequest {
    std::string method;
    std::string path;                                          ///< without the query
    std::string query;                                         ///< what follows '?'
    std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case, in the order they came
    std::string body;
    bool keep_alive = true;

    std::optional<std::string_view> header(std::string_view lower_name) const;
};

enum class ParseState {
    kIncomplete,
    kComplete,
    kBad,  ///< no HTTP/1 request, or one that is larger than is taken: answer 400 and close
};

struct ParsedRequest {
    ParseState state = ParseState::kIncomplete;
    std::size_t used = 0;           ///< bytes of the input that belong to a complete request
    bool expects_continue = false;  ///< incomplete: the client waits for "100 Continue" before it sends the body
    HttpRequest request;
};

constexpr std::size_t kMaxHeaderBytes = 64 << 10;
constexpr std::size_t kMaxBodyBytes = 64 << 20;

/// Reads one HTTP/1.x request from the front of `input`. Bodies come with Content-Length; other codings are kBad.
ParsedRequest parse_request(std::string_view input);

}  // namespace velollm::mock
