#include "wire/sse.h"

#include "fuzz.h"

namespace {

std::vector<std::string> events(const std::vector<std::string_view>& pieces) {
    velollm::wire::SseSplitter splitter;
    std::vector<std::string> out;
    for (const std::string_view piece : pieces)
        splitter.feed(piece, [&](std::string_view data) { out.emplace_back(data); });
    out.push_back(std::to_string(splitter.pending()));
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using velollm::fuzz::require;
    const velollm::fuzz::CutStream stream(velollm::fuzz::as_text(data, size));
    const auto whole = events({stream.bytes});
    require(events(stream.pieces()) == whole, "any cut gives the same events");
    require(events(stream.single_bytes()) == whole, "single bytes give the same events");
    return 0;
}
