#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace velollm::report {

inline constexpr std::int64_t kKib = std::int64_t{1} << 10U;
inline constexpr std::int64_t kMib = std::int64_t{1} << 20U;
inline constexpr std::int64_t kGib = std::int64_t{1} << 30U;

/// Whole MiB, as the hardware document states sizes; nothing for an unknown size.
inline std::optional<std::int64_t> mib(const std::optional<std::int64_t>& bytes) {
    if (!bytes) return std::nullopt;
    return *bytes / kMib;
}

/// In the document an unknown text is null.
inline std::optional<std::string> text_or_null(const std::string& text) {
    if (text.empty()) return std::nullopt;
    return text;
}

inline std::string gib_text(std::int64_t bytes) {
    return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / static_cast<double>(kGib));
}

/// Tokens a second in three digits: a forecast knows no more.
inline std::string tps_text(double value) {
    return fmt::format("{:.{}f}", value, value < 10 ? 2 : value < 100 ? 1 : 0);
}

inline std::string count_text(int count, std::string_view noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

}  // namespace velollm::report
