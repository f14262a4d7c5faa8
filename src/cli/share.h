#pragma once

#include <velollm/result.h>

#include <string>

namespace velollm::cli {

/// "2%", "2 %" or "0.02" as 0.02: what `option` takes. Between 0 and 1, both excluded; a bare number from 0.5 on is
/// refused, as it may be meant as per cent.
Result<double> read_share(const std::string& option, const std::string& text);

}  // namespace velollm::cli
