#include "fuzz.h"
#include "mock/http_request.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using velollm::fuzz::require;
    using velollm::mock::ParseState;
    const std::string_view text = velollm::fuzz::as_text(data, size);
    const auto parsed = velollm::mock::parse_request(text);
    if (parsed.state != ParseState::kComplete) {
        require(parsed.used == 0, "nothing is taken from what is not a request");
        return 0;
    }
    require(parsed.used > 0 && parsed.used <= size, "a request ends inside the input");
    require(parsed.request.path.starts_with('/'), "a path begins with a slash");
    require(parsed.request.body.size() < parsed.used, "the body is a part of it");
    const auto again = velollm::mock::parse_request(text.substr(0, parsed.used));
    require(again.state == ParseState::kComplete && again.used == parsed.used, "what follows plays no role");
    return 0;
}
