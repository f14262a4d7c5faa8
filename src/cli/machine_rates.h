#pragma once

#include <velollm/hardware.h>

#include <optional>
#include <string>

#include "model/speed.h"
#include "serde/calibration.h"
#include "system/system.h"

namespace velollm::cli {

/// Names a machine in the calibration: the hardware key of result files.
std::string machine_key(const Hardware& hardware);

/// Measures bandwidth and peak arithmetic, for one to three seconds. What is valid goes into the calibration, and the
/// bandwidth, valid or not, into `hardware`. `now`: UTC.
void measure_rates(const system::System& system, const std::string& machine, const std::string& now, Hardware& hardware,
                   serde::Calibration& calibration);

/// Read bandwidth of the machine's memory with so many threads.
std::optional<double> read_gbps(const serde::MachineRates& rates, int threads);

/// What is known for a forecast. `gbps`: of the memory that the model lies in.
model::SpeedGrounds speed_grounds(const serde::Calibration& calibration, const std::string& machine,
                                  const std::string& engine, int threads, bool on_gpu, std::optional<double> gbps);

}  // namespace velollm::cli
