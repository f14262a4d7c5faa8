#pragma once

#include <velollm/hardware.h>

#include <cstdint>
#include <optional>
#include <string>

#include "model/shape.h"
#include "serde/calibration.h"

namespace velollm::model {

/// What a forecast of speed stands on, best first.
enum class SpeedBasis {
    kMeasuredHere,  ///< this very model ran on this machine
    kSameMachine,   ///< other models ran on it
    kFormula,       ///< its memory and arithmetic alone
};

/// Tokens a second. The truth lies between `low` and `high` in four cases of five.
struct SpeedRange {
    double low = 0;
    double likely = 0;
    double high = 0;
};

struct SpeedForecast {
    SpeedBasis basis = SpeedBasis::kFormula;
    std::string because;  ///< "3 runs of 2 models with the embedded engine here"
    std::optional<SpeedRange> decode;
    std::optional<SpeedRange> prefill;
    std::string missing;  ///< why there is no range: "the bandwidth of the memory isn't known"; empty with one
    std::optional<double> roofline_share;  ///< likely decode speed ÷ what the memory's bandwidth allows
};

/// What is known of the machine when a speed is asked for.
struct SpeedGrounds {
    serde::Calibration calibration;
    std::string machine;  ///< machine_key
    std::string engine = "embedded";
    int threads = 1;
    bool on_gpu = false;
    std::optional<double> read_gbps;  ///< of the memory that the model lies in
    bool read_measured = false;
    std::optional<double> fp32_gflops;
};

/// Names a machine by what its speed depends on: processor, usable threads, memory, GPU.
std::string machine_key(const Hardware& hardware);
/// Names a model by its architecture and tensors: two files of the same shape and types are one.
std::string shape_key(const ModelShape& shape);

/// Multiplications and additions for one token of a long prompt: two for each weight that is used, without the output
/// layer, and those of attention to the `depth` tokens before it.
double prefill_flops(const ModelShape& shape, std::int64_t depth);

SpeedForecast forecast(const ModelShape& shape, std::int64_t depth, std::int64_t decode_bytes,
                       const SpeedGrounds& grounds);

}  // namespace velollm::model
