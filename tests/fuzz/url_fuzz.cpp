#include "wire/url.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using velollm::fuzz::require;
    const auto url = velollm::wire::parse_url(velollm::fuzz::as_text(data, size), 8080);
    if (!url) {
        require(!url.error().message.empty() && !url.error().hint.empty(), "an error says what and what to do");
        return 0;
    }
    require(url->scheme == "http" || url->scheme == "https", "the scheme is one that we speak");
    require(!url->host.empty(), "an address has a host");
    require(url->port >= 0 && url->port <= 65535, "a port fits in 16 bits");
    require(url->path.empty() || (url->path.front() == '/' && url->path.back() != '/'), "a path is empty or a prefix");
    const auto again = velollm::wire::parse_url(url->text(), 1);
    require(again && *again == *url, "an address reads back as itself");
    return 0;
}
