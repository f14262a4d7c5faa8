#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/shape.h"
#include "serde/calibration.h"

namespace velollm::model {

/// What a forecast of speed stands on, best first.
enum class SpeedBasis {
    kMeasuredHere,  ///< this very model ran on this machine
    kSameMachine,   ///< other models ran on it
    kFormula,       ///< its memory and arithmetic alone
};
std::string_view basis_name(SpeedBasis basis);

/// Tokens a second. The truth lies between `low` and `high` in four cases of five.
struct SpeedRange {
    double low = 0;
    double likely = 0;
    double high = 0;
};

struct SpeedForecast {
    SpeedBasis basis = SpeedBasis::kFormula;
    bool synthetic = false;  ///< what was measured was a file with noise for weights
    std::string because;     ///< "4 runs of 2 other models here"; may be empty without ranges
    std::optional<SpeedRange> decode;
    std::optional<SpeedRange> prefill;
    std::string missing;                   ///< why there is no decode range; empty with one
    std::optional<double> roofline_share;  ///< likely decode speed ÷ what the memory's bandwidth allows
};

/// What is known of the machine when a speed is asked for.
struct SpeedGrounds {
    serde::Calibration calibration;
    std::string machine;  ///< hardware key: runs of other machines don't count
    std::string engine = "embedded";
    int threads = 1;
    bool on_gpu = false;
    std::optional<double> read_gbps;    ///< of the memory that the model lies in, with these threads
    std::optional<double> fp32_gflops;  ///< of the processor, with these threads
};

/// Names a model by its architecture and tensors: two files of the same shape and types are one.
std::string shape_key(const ModelShape& shape);

/// Multiplications and additions for one token of a long prompt with `depth` tokens before it: two for each weight that
/// is used, without the output layer, and those of attention.
double prefill_flops(const ModelShape& shape, std::int64_t depth);

/// Forecasts the speed of a model that lies in one memory.
///
/// Measured here: the median of its newest runs with this engine and as many threads; where the depth differs, in
/// proportion to what a token reads. Runs of a file of noise are corrected by what benchmarks made of such forecasts
/// before.
/// Same machine: seconds = start + bytes * cost of their types, fitted to the runs of other models (one run gives the
/// factor alone). Formula: bytes ÷ bandwidth by a share that engines were seen to reach; prefill by a share of the
/// peak of arithmetic.
///
/// `decode_bytes` is read for one token at `depth`.
SpeedForecast forecast(const ModelShape& shape, std::int64_t depth, std::int64_t decode_bytes,
                       const SpeedGrounds& grounds);

}  // namespace velollm::model
