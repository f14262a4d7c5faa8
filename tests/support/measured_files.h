#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "serde/measured.h"
#include "system/system.h"

namespace velollm::test {

/// A result file that another program wrote, from tests/traces/results.
inline std::string recorded_result(const std::string& name) {
    return system::read_file(std::string(VELOLLM_TESTS_DIR) + "/traces/results/" + name).value_or("");
}

inline serde::MeasuredFile read_result(const std::string& text) {
    auto file = serde::read_measured(text, "r.json");
    EXPECT_TRUE(file) << file.error().message;
    return file ? *file : serde::MeasuredFile{};
}

/// The words with which a text is refused.
inline std::string refusal_of(const std::string& text) {
    const auto file = serde::read_measured(text, "r.json");
    EXPECT_FALSE(file) << text.substr(0, 200);
    if (file) return {};
    EXPECT_EQ(file.error().code, ErrorCode::kUsage);
    EXPECT_TRUE(file.error().message.starts_with("r.json: ")) << file.error().message;
    EXPECT_FALSE(file.error().hint.empty()) << file.error().message;
    return file.error().message;
}

inline bool says(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace velollm::test
