#include "wire/ndjson.h"

#include "fuzz.h"

namespace {

std::vector<std::string> lines(const std::vector<std::string_view>& pieces) {
    velollm::wire::NdjsonSplitter splitter;
    std::vector<std::string> out;
    for (const std::string_view piece : pieces)
        splitter.feed(piece, [&](std::string_view line) {
            velollm::fuzz::require(!line.empty(), "blank lines are skipped");
            velollm::fuzz::require(line.find('\n') == std::string_view::npos, "a line ends at its line feed");
            out.emplace_back(line);
        });
    out.emplace_back(splitter.pending());
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using velollm::fuzz::require;
    const velollm::fuzz::CutStream stream(velollm::fuzz::as_text(data, size));
    const auto whole = lines({stream.bytes});
    require(lines(stream.pieces()) == whole, "any cut gives the same lines");
    require(lines(stream.single_bytes()) == whole, "single bytes give the same lines");
    return 0;
}
