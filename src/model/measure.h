#pragma once

#include <velollm/result.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "backend/engine_pace.h"
#include "model/extrapolate.h"
#include "model/shape.h"

namespace velollm::model {

/// What a measurement has to get along with.
struct MeasureLimits {
    std::int64_t memory_bytes = 0;  ///< that the process may take now
    std::int64_t disk_bytes = 0;    ///< free where the files go
    std::int64_t cache_bytes = 0;   ///< of the processor's last level
    double seconds = 150;           ///< what it should take at most, where that can be had
    double prefill_gflops = 50;     ///< that prefill may be expected to reach, for the time left
    double read_gbps = 10;          ///< the same of decode
};

/// Which files are made of a model, and what they cost.
struct MeasurePlan {
    std::vector<std::vector<std::size_t>> files;  ///< the blocks of each: one file of all blocks, or two of fewer
    std::int64_t prefill_tokens = 256;
    std::int64_t disk_bytes = 0;
    double seconds = 0;  ///< expected

    bool whole() const { return files.size() == 1; }
};

/// The whole model where it takes at most 60 % of the memory, fits the disk and the time; else a file of at least a
/// third of its blocks, more where time allows, and one of a quarter of these, in which a token still reads twice what
/// the processor's cache holds. Fails when memory or disk don't suffice.
Result<MeasurePlan> plan_measurement(const ModelShape& shape, std::int64_t depth, const MeasureLimits& limits);

/// What came of a measurement.
struct ModelSpeed {
    PaceEstimate decode;
    PaceEstimate prefill;
    std::vector<std::int64_t> blocks;  ///< of each file that was timed; all of the model's: one file
    std::int64_t prefill_tokens = 0;
    int rounds = 0;
    double seconds = 0;  ///< that it took
};

/// How far a measurement is.
struct MeasureStep {
    bool writing = false;
    int done = 0;  ///< files written, or samples taken
    int of = 0;
    double seconds_left = 0;
};

/// Makes the files in `folder`, times them, and works out the speed. `spec`: threads, depth and cache, and the model's
/// file, which is then timed itself; empty: it isn't here. Five rounds, up to nine as long as the range is wider than
/// +-20 %; fails when it stays so, when memory or disk don't suffice, when the machine is busy, and with kInterrupted
/// when `stop` says so. This process must have one thread only.
Result<ModelSpeed> measure_speed(const ModelShape& shape, backend::PaceSpec spec, const MeasureLimits& limits,
                                 const std::filesystem::path& folder,
                                 const std::function<void(const MeasureStep&)>& told,
                                 const std::function<bool()>& stop);

}  // namespace velollm::model
