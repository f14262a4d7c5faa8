#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "system/system.h"

namespace velollm::test {

/// Compares `text` with tests/approved/`file`. With VELOLLM_APPROVE=1 in the environment the file is written instead:
/// read the difference in git before you commit it.
inline void approve(const std::string& text, const std::string& file) {
    const std::string path = file.starts_with("/") ? file : std::string(VELOLLM_TESTS_DIR) + "/approved/" + file;
    if (std::getenv("VELOLLM_APPROVE") != nullptr) {
        ASSERT_TRUE(system::write_file_atomic(path, text));
        return;
    }
    EXPECT_EQ(text, system::read_file(path).value_or("(no such file)"))
        << "differs from " << path << "; VELOLLM_APPROVE=1 takes the new text over";
}

}  // namespace velollm::test
