#include "wire/sse.h"

#include <algorithm>

namespace velollm::wire {
namespace {

constexpr std::string_view kData = "data";

std::string_view without_space(std::string_view value) {
    if (value.starts_with(' ')) value.remove_prefix(1);  // one space only: a token may start with the next
    return value;
}

/// The first LF or CR. Looks a little way ahead at a time: a stream of short lines that end in CR holds no LF, and
/// would be searched to its end for each of them.
std::size_t line_end(std::string_view bytes) {
    constexpr std::size_t kAhead = 512;
    for (std::size_t from = 0; from < bytes.size(); from += kAhead) {
        const std::string_view part = bytes.substr(from, kAhead);
        const std::size_t end = std::min(part.find('\n'), part.find('\r'));
        if (end != std::string_view::npos) return from + end;
    }
    return std::string_view::npos;
}

}  // namespace

std::optional<std::string_view> SseSplitter::take_whole_event(std::string_view& bytes) const {
    constexpr std::size_t kNameAndColon = kData.size() + 1;
    if (first_line_ || !line_.empty() || !data_.empty() || !bytes.starts_with("data:")) return std::nullopt;
    const std::size_t end = bytes.find('\n', kNameAndColon);
    if (end == std::string_view::npos || end + 1 == bytes.size() || bytes[end + 1] != '\n') return std::nullopt;
    const std::string_view value = bytes.substr(kNameAndColon, end - kNameAndColon);
    if (value.find('\r') != std::string_view::npos) return std::nullopt;
    bytes.remove_prefix(end + 2);
    return without_space(value);
}

bool SseSplitter::take_line(std::string_view& bytes) {
    const std::size_t end = line_end(bytes);
    if (end == std::string_view::npos) {
        line_.append(bytes);
        bytes = {};
        return false;
    }
    last_was_cr_ = bytes[end] == '\r';
    line_.append(bytes.substr(0, end));
    bytes.remove_prefix(end + 1);
    const bool ends = end_line(line_);
    line_.clear();
    return ends;
}

bool SseSplitter::end_line(std::string_view line) {
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (std::exchange(first_line_, false) && line.starts_with(kByteOrderMark))
        line.remove_prefix(kByteOrderMark.size());

    const bool event_ends = line.empty() && !data_.empty();
    const std::string_view name = line.substr(0, line.find(':'));
    if (name == kData) {
        std::string_view value = line.substr(kData.size());
        if (value.starts_with(':')) value.remove_prefix(1);
        data_.append(without_space(value)).push_back('\n');
    }
    return event_ends;
}

}  // namespace velollm::wire
