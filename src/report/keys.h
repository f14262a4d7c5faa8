#pragma once

#include <string>

#include "report/context.h"

namespace velollm::report {

/// SHA-256 keys that tell what may be compared with what (docs/metrics.md).
struct Keys {
    std::string hardware;
    std::string workload;
    std::string series;
};
Keys keys_of(const Context& context, const BenchmarkResult& result);

}  // namespace velollm::report
