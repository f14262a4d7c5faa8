#pragma once

#include <velollm/result.h>

#include <string>
#include <string_view>

namespace velollm::wire {

/// An http or https address without its path's last slash: scheme://host[:port][/path]. An IPv6 host keeps its
/// brackets.
struct Url {
    std::string scheme = "http";
    std::string host;
    int port = 0;
    std::string path;  ///< empty, or "/prefix" for a server behind a proxy path

    std::string text() const;
    bool operator==(const Url&) const = default;
};

/// Reads a server address as a user types it: "http://host:1234/", "host:1234", "host", "[::1]:80".
/// Without a scheme it is http; without a port it is `default_port`, except that an explicit http:// or https://
/// without a port means 80 or 443, as everywhere else on the web.
Result<Url> parse_url(std::string_view text, int default_port);

/// Whether the host is this machine, by its looks.
bool is_loopback(const Url& url);

/// Reads OLLAMA_HOST in every form that Ollama's own client takes: "", "host", "host:port", ":port", "port",
/// "http://host:port/path", "https://host", "0.0.0.0", "[::]". Follows ollama's envconfig.Host: the default is
/// localhost:11434, an explicit scheme brings its own port (80, 443), and a port that is no port falls back to the
/// default one. An address that means "all interfaces" is one to listen at, not one to call: it becomes the loopback
/// address of its family. A bare number is taken as a port, which Ollama itself reads as a host.
Url resolve_ollama_host(std::string_view value);

}  // namespace velollm::wire
