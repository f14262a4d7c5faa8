#include "wire/sse.h"

namespace velollm::wire {

bool SseSplitter::end_line() {
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    constexpr std::string_view kData = "data";
    std::string_view line = line_;
    if (std::exchange(first_line_, false) && line.starts_with(kByteOrderMark))
        line.remove_prefix(kByteOrderMark.size());

    const bool event_ends = line.empty() && !data_.empty();
    const std::string_view name = line.substr(0, line.find(':'));
    if (name == kData) {
        std::string_view value = line.substr(kData.size());
        if (value.starts_with(':')) value.remove_prefix(1);
        if (value.starts_with(' ')) value.remove_prefix(1);  // one space only: a token may start with the next
        data_.append(value).push_back('\n');
    }
    line_.clear();
    return event_ends;
}

}  // namespace velollm::wire
