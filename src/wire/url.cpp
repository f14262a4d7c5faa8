#include "wire/url.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace velollm::wire {
namespace {

constexpr int kOllamaPort = 11434;

bool is_port(std::string_view text) {
    const auto port = base::parse_int(text);
    return port && *port >= 0 && *port <= 65535;
}

struct Pieces {
    std::string scheme;  // empty when the text has none
    std::string host;
    std::string port;  // empty when the text has none
    std::string path;
};

/// Cuts the text at its separators without judging the pieces.
Pieces cut(std::string_view text) {
    Pieces out;
    text = base::trim(text);
    if (const std::size_t mark = text.find("://"); mark != std::string_view::npos) {
        out.scheme = base::lower(text.substr(0, mark));
        text.remove_prefix(mark + 3);
    }
    text = text.substr(0, text.find_first_of("?#"));
    const std::size_t slash = text.find('/');
    if (slash != std::string_view::npos) out.path = text.substr(slash);
    while (!out.path.empty() && out.path.back() == '/') out.path.pop_back();
    text = text.substr(0, slash);

    const std::size_t bracket = text.rfind(']');
    const std::size_t colon = text.rfind(':');
    const bool bare_ipv6 = bracket == std::string_view::npos && std::count(text.begin(), text.end(), ':') > 1;
    if (bare_ipv6) {
        out.host = fmt::format("[{}]", text);
    } else if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
        out.host = text.substr(0, colon);
        out.port = text.substr(colon + 1);
    } else {
        out.host = text;
    }
    return out;
}

bool is_host(std::string_view host) {
    if (host.empty()) return false;
    if (host.front() == '[') {
        return host.size() > 2 && host.back() == ']' &&
               host.substr(1, host.size() - 2).find_first_not_of("0123456789abcdefABCDEF:.%") == std::string_view::npos;
    }
    return std::all_of(host.begin(), host.end(), [](unsigned char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' ||
               c == '_' || c >= 0x80;
    });
}

/// A path goes into the request line as it is: a blank or a line feed in it would end the line.
bool is_path(std::string_view path) {
    return std::none_of(path.begin(), path.end(), [](unsigned char c) { return c <= 0x20 || c == 0x7f; });
}

}  // namespace

std::string Url::text() const {
    return fmt::format("{}://{}:{}{}", scheme, host, port, path);
}

Result<Url> parse_url(std::string_view text, int default_port) {
    const Pieces pieces = cut(text);
    const auto wrong = [&](std::string_view why) {
        return Error{ErrorCode::kUsage, fmt::format("Not a server address: \"{}\" ({})", base::one_line(text), why),
                     "Write it like http://localhost:11434"};
    };
    if (!pieces.scheme.empty() && pieces.scheme != "http" && pieces.scheme != "https")
        return wrong("only http and https are known");
    if (pieces.host.find('@') != std::string::npos) return wrong("a user name in the address is not supported");
    if (!is_host(pieces.host)) return wrong(pieces.host.empty() ? "no host name" : "the host name has odd characters");
    if (!is_path(pieces.path)) return wrong("the path has blanks or control characters");
    if (!pieces.port.empty() && !is_port(pieces.port)) return wrong("the port is not a number from 0 to 65535");

    Url url{.scheme = pieces.scheme.empty() ? "http" : pieces.scheme, .host = pieces.host, .path = pieces.path};
    if (!pieces.port.empty()) {
        url.port = static_cast<int>(*base::parse_int(pieces.port));
    } else {
        url.port = pieces.scheme.empty() ? default_port : pieces.scheme == "https" ? 443 : 80;
    }
    return url;
}

Url resolve_ollama_host(std::string_view value) {
    // Ollama strips quotes, which Windows users and unit files leave in.
    value = base::trim(value);
    while (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front())
        value = base::trim(value.substr(1, value.size() - 2));

    Pieces pieces = cut(value);
    if (pieces.scheme.empty() && pieces.port.empty() && !pieces.host.empty() && is_port(pieces.host))
        pieces.port = std::exchange(pieces.host, {});

    Url url{.scheme = pieces.scheme == "https" ? "https" : "http", .host = pieces.host, .path = pieces.path};
    url.port = pieces.scheme == "https" ? 443 : pieces.scheme == "http" ? 80 : kOllamaPort;
    if (!pieces.port.empty() && is_port(pieces.port)) url.port = static_cast<int>(*base::parse_int(pieces.port));
    if (!is_path(url.path)) url.path.clear();
    if (url.host.empty()) url.host = "localhost";
    if (url.host == "0.0.0.0" || !is_host(url.host)) url.host = "127.0.0.1";
    if (url.host == "[::]") url.host = "[::1]";
    return url;
}

bool is_loopback(const Url& url) {
    return url.host == "localhost" || url.host.starts_with("127.") || url.host == "[::1]";
}

}  // namespace velollm::wire
