#pragma once

#include <velollm/hardware.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "model/measure.h"
#include "model/memory.h"
#include "model/speed.h"
#include "model/traffic.h"

namespace velollm::model {

/// The largest context, in steps of 256 tokens and at most what the model was trained for, with which it takes no more
/// than `limit_bytes` of one memory, by formula. Nothing when not even 256 tokens fit.
std::optional<std::int64_t> largest_context(const ModelShape& shape, MemoryQuestion question, std::int64_t limit_bytes);

/// What a model would take and how fast it can be at most, on one machine.
struct Prediction {
    ModelShape shape;
    MemoryQuestion question;
    MemoryEstimate memory;
    bool on_gpu = false;            ///< all of it on the first GPU, whose memory is then the limit
    std::int64_t limit_bytes = 0;   ///< what a model may take there now
    std::int64_t needed_bytes = 0;  ///< of it
    std::optional<std::int64_t> largest_context;
    TokenTraffic traffic;  ///< of one token with `depth` tokens before it
    std::int64_t depth = 0;
    /// Read bandwidth that was measured here, or a GPU's theoretical one; absent: none is known.
    std::optional<double> bandwidth_gbps;
    bool bandwidth_measured = false;
    bool partly_cached = false;     ///< the processor's cache holds a good part of what a token reads
    std::string bandwidth_missing;  ///< why a measurement gave none; empty: none was made
    std::string bandwidth_when;     ///< UTC, of one that was made before; empty: it was made now

    std::string engine = "embedded";  ///< whose speed is forecast
    int threads = 1;                  ///< that it computes with
    SpeedForecast speed;
    std::optional<ModelSpeed> measured;  ///< by a file of this shape, now

    bool fits() const { return needed_bytes <= limit_bytes; }
    /// Tokens a second that no engine can pass: bandwidth divided by what a token reads. Absent without a bandwidth,
    /// and where the model doesn't fit.
    std::optional<double> most_tps() const;
};

/// `file`: of the model; empty when it isn't here. A model goes to the first GPU whose usable memory is known, if it
/// fits there, else to the machine's memory. The question's GPU layers and repacked types are set here.
Prediction predict(const std::filesystem::path& file, ModelShape shape, MemoryQuestion question, std::int64_t depth,
                   const Hardware& hardware);

/// Takes the bandwidth that `hardware` knows of the memory that the model lies in.
void take_bandwidth(const Hardware& hardware, Prediction& prediction);

}  // namespace velollm::model
