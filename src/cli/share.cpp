#include "cli/share.h"

#include <fmt/core.h>

#include <string_view>

#include "base/text.h"

namespace velollm::cli {
namespace {

/// From here on a bare number may be meant as per cent: "0.9" as likely as "90%".
constexpr double kDoubtful = 0.5;

}  // namespace

Result<double> read_share(const std::string& option, const std::string& text) {
    std::string_view number = base::trim(text);
    const bool percent = number.ends_with('%');
    if (percent) number = base::trim(number.substr(0, number.size() - 1));
    const auto value = base::parse_double(number);
    const double share = value.value_or(-1.0) / (percent ? 100.0 : 1.0);
    const bool doubtful = !percent && share >= kDoubtful && share < 100.0;
    if (doubtful && share < 1.0)
        return Error{ErrorCode::kUsage,
                     fmt::format("{0} {1} could be {2:.6g} % or {3:.6g} %", option, text, share, 100.0 * share),
                     fmt::format("Write {0:.6g}% or {1:.6g} for the one, {2:.6g}% for the other", share, share / 100.0,
                                 100.0 * share)};
    if (doubtful)
        return Error{ErrorCode::kUsage, fmt::format("{} {} is no share: a bare number is one of 1", option, text),
                     fmt::format("Write {0:.6g}% or {1:.6g}", share, share / 100.0)};
    if (share > 0.0 && share < 1.0) return share;
    return Error{ErrorCode::kUsage, fmt::format("{} {} is no share", option, text),
                 fmt::format("Write it as {} 2%", option)};
}

}  // namespace velollm::cli
