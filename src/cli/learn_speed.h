#pragma once

#include <string>
#include <vector>

#include "report/result_json.h"
#include "system/system.h"

namespace velollm::cli {

/// Puts results into the calibration that forecasts of speed stand on: those that may be believed, of models whose
/// file is on this machine, all in one memory. Gives lines that compare them with what had been predicted; empty where
/// nothing had been. A calibration that can't be read or written is left alone: the results are as good without it.
std::string learn_speed(const std::vector<report::ReportedResult>& reported, const system::System& system);

}  // namespace velollm::cli
