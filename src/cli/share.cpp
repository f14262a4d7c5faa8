#include "cli/share.h"

#include <fmt/core.h>

#include <string_view>

#include "base/text.h"

namespace velollm::cli {

Result<double> read_share(const std::string& option, const std::string& text) {
    std::string_view number = base::trim(text);
    const bool percent = number.ends_with('%');
    if (percent) number = base::trim(number.substr(0, number.size() - 1));
    const auto value = base::parse_double(number);
    const double share = value.value_or(-1.0) / (percent ? 100.0 : 1.0);
    if (share > 0.0 && share < 1.0) return share;
    return Error{ErrorCode::kUsage, fmt::format("{} {} is no share", option, text),
                 fmt::format("Write it as {} 2%", option)};
}

}  // namespace velollm::cli
