#pragma once

#include <fmt/core.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace velollm::gguf {

/// A size as download pages write it, in decimal units: "98.4 MB", "1.2 kB", "12 bytes".
inline std::string size_text(std::uint64_t bytes) {
    if (bytes < 1000) return fmt::format("{} bytes", bytes);
    constexpr std::array<std::string_view, 6> kUnits{"kB", "MB", "GB", "TB", "PB", "EB"};
    double value = static_cast<double>(bytes) / 1000.0;
    std::size_t unit = 0;
    for (; value >= 999.95 && unit + 1 < kUnits.size(); ++unit) value /= 1000.0;  // 999.95 would be written as 1000.0
    return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

}  // namespace velollm::gguf
