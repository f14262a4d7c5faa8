#pragma once

#include <string>
#include <string_view>

#include "benchmark/selftest.h"

namespace velollm::report {

/// By whom, where and when a self-test was made.
struct SelfTestOrigin {
    std::string tool_version;
    std::string tool_commit;
    std::string hardware_key;
    std::string at;  ///< UTC
};

/// The document schema/velollm-selftest-1.schema.json; `indent` spaces a level, 0 for one line.
std::string selftest_json(const benchmark::SelfTest& test, const SelfTestOrigin& origin, int indent);

/// The same for people, with what it means.
std::string selftest_text(const benchmark::SelfTest& test);

/// A kept self-test without white space, to be put into a result; empty where `document` is none of this version.
std::string selftest_within(std::string_view document);

/// One line on it: when, and how large the errors were. `document` as of selftest_within().
std::string selftest_line(std::string_view document);

/// Whether the machine stood still so much that part of the errors is its own (method 6.4).
bool too_noisy(const Hiccups& hiccups);

/// Whether the program did what is promised on a quiet machine: every answer complete, and errors within the bounds
/// of method 6.4 that hold on any machine.
bool trustworthy(const benchmark::SelfTest& test);

}  // namespace velollm::report
