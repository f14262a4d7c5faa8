#include "wire/url.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using velollm::fuzz::require;
    const velollm::wire::Url url = velollm::wire::resolve_ollama_host(velollm::fuzz::as_text(data, size));
    require(url.scheme == "http" || url.scheme == "https", "the scheme is one that we speak");
    require(!url.host.empty() && url.host != "0.0.0.0" && url.host != "[::]", "the host is one to call");
    require(url.port >= 0 && url.port <= 65535, "a port fits in 16 bits");
    const auto again = velollm::wire::parse_url(url.text(), 1);
    require(again && *again == url, "whatever the variable holds, the address is one");
    return 0;
}
