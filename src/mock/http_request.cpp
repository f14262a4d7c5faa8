#include "mock/http_request.h"

#include <algorithm>

#include "base/text.h"

namespace velollm::mock {
namespace {

/// Method, path and version; false when the line is none of a request.
bool read_request_line(std::string_view line, HttpRequest& request) {
    const std::size_t first = line.find(' ');
    const std::size_t last = line.rfind(' ');
    if (first == std::string_view::npos || first == 0 || last == first) return false;
    const std::string_view version = line.substr(last + 1);
    const std::string_view target = line.substr(first + 1, last - first - 1);
    if ((version != "HTTP/1.1" && version != "HTTP/1.0") || !target.starts_with('/')) return false;
    request.method = line.substr(0, first);
    const auto letter = [](char c) { return c >= 'A' && c <= 'Z'; };
    if (!std::all_of(request.method.begin(), request.method.end(), letter)) return false;
    const std::size_t query = target.find('?');
    request.path = target.substr(0, query);
    if (query != std::string_view::npos) request.query = target.substr(query + 1);
    request.keep_alive = version == "HTTP/1.1";
    return true;
}

bool read_headers(std::string_view head, HttpRequest& request) {
    for (std::string_view line : base::split(head, '\n')) {
        line = base::trim(line);
        if (line.empty()) continue;
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos || colon == 0) return false;
        request.headers.emplace_back(base::lower(line.substr(0, colon)), base::trim(line.substr(colon + 1)));
    }
    if (const auto connection = request.header("connection")) {
        const std::string word = base::lower(*connection);
        if (word == "close") request.keep_alive = false;
        if (word == "keep-alive") request.keep_alive = true;
    }
    return true;
}

ParsedRequest bad() {
    return {.state = ParseState::kBad};
}

}  // namespace

std::optional<std::string_view> HttpRequest::header(std::string_view lower_name) const {
    for (const auto& [name, value] : headers)
        if (name == lower_name) return value;
    return std::nullopt;
}

ParsedRequest parse_request(std::string_view input) {
    const std::size_t end = input.find("\r\n\r\n");
    if (end == std::string_view::npos) {
        if (input.size() > kMaxHeaderBytes) return bad();
        return {};
    }
    ParsedRequest parsed;
    const std::string_view head = input.substr(0, end);
    const std::size_t line_end = std::min(head.find("\r\n"), head.size());
    if (end > kMaxHeaderBytes || !read_request_line(head.substr(0, line_end), parsed.request) ||
        !read_headers(head.substr(line_end), parsed.request))
        return bad();
    if (parsed.request.header("transfer-encoding")) return bad();
    std::size_t length = 0;
    if (const auto text = parsed.request.header("content-length")) {
        const auto value = base::parse_int(*text);
        if (!value || *value < 0 || *value > static_cast<std::int64_t>(kMaxBodyBytes)) return bad();
        length = static_cast<std::size_t>(*value);
    }
    const std::size_t start = end + 4;
    if (input.size() - start < length) {
        parsed.expects_continue = base::lower(parsed.request.header("expect").value_or("")) == "100-continue";
        return parsed;
    }
    parsed.request.body = input.substr(start, length);
    parsed.used = start + length;
    parsed.state = ParseState::kComplete;
    return parsed;
}

}  // namespace velollm::mock
