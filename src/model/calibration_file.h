#pragma once

#include <velollm/result.h>

#include <filesystem>

#include "model/speed.h"
#include "serde/calibration.h"
#include "system/system.h"

namespace velollm::model {

/// calibration.json in the user's state folder.
std::filesystem::path calibration_file(const system::System& system);

/// Empty where there is no file yet; fails for one that can't be used, which is left as it is.
Result<serde::Calibration> load_calibration(const system::System& system);

/// Replaces the file in one step. Keeps the newest 300 runs and 300 predictions.
Result<void> save_calibration(serde::Calibration calibration, const system::System& system);

/// Takes the place of what was measured of this machine before.
void put_rates(serde::Calibration& calibration, serde::MachineRates rates);
/// What was measured of this machine, with as many threads; absent: nothing.
const serde::MachineRates* rates_of(const serde::Calibration& calibration, const std::string& machine);

/// Remembers a forecast of decode speed; a newer one of the same model, engine and depth takes its place as long as
/// nothing was measured.
void put_prediction(serde::Calibration& calibration, serde::PastPrediction prediction);

/// Adds a run. Where it was a benchmark of a model whose speed had been predicted and not measured since, the
/// prediction gets its truth, scaled to its depth, and is returned.
std::optional<serde::PastPrediction> put_run(serde::Calibration& calibration, serde::SpeedRun run);

}  // namespace velollm::model
