#pragma once

#include <string>

#include "base/json_writer.h"
#include "report/context.h"

namespace velollm::report {

/// The value of `spec_decode`: what drafts and how much; null where nothing is known to.
void write_speculation(base::JsonWriter& json, const TargetInfo& target);

/// Why there is no share of drafts kept; empty where there is one, or where nothing drafts as far as is known.
std::string why_no_acceptance(const TargetInfo& target, const BenchmarkResult& result);

/// One line about speculative decoding: its kind, the share of drafts kept with its interval, tokens per step. Empty
/// where nothing drafted and nothing was to.
std::string speculation_line(const TargetInfo& target, const BenchmarkResult& result);

}  // namespace velollm::report
