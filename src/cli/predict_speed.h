#pragma once

#include <velollm/hardware.h>

#include <filesystem>
#include <functional>

#include "cli/args.h"
#include "model/fit.h"
#include "serde/calibration.h"
#include "system/system.h"

namespace velollm::cli {

/// The speed of a model that `predict` has worked out the memory of. What was measured of this machine before is in
/// the calibration, and what is measured now goes into it.
class SpeedOfPrediction {
public:
    SpeedOfPrediction(const PredictArgs& args, const system::System& system, Hardware& hardware);

    /// Measures as far as the arguments ask for it, then forecasts. `file`: of the model; empty when it isn't here.
    /// Fails where --measure can't be answered. This process must have one thread only.
    Result<void> work_out(const std::filesystem::path& file, model::Prediction& prediction);

    /// Why earlier measurements weren't taken into account, or the new ones couldn't be kept; empty: they were.
    const std::string& note() const { return note_; }

private:
    void learn_bandwidth(model::Prediction& prediction);
    Result<void> measure(const std::filesystem::path& file, model::Prediction& prediction);
    model::SpeedGrounds grounds(const model::Prediction& prediction) const;

    const PredictArgs& args_;
    const system::System& system_;
    Hardware& hardware_;
    std::string machine_;
    std::string now_;
    serde::Calibration calibration_;
    bool usable_ = true;  ///< the calibration may be written
    std::string note_;
};

}  // namespace velollm::cli
