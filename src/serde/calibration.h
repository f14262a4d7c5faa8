#pragma once

#include <velollm/result.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace velollm::serde {

/// How fast a model ran on a machine, as far as it tells about others. A number that isn't known is 0.
struct SpeedRun {
    std::string when;     ///< UTC
    std::string machine;  ///< the hardware key of result files
    std::string source;   ///< "benchmark", or "synthetic": a file with noise for weights
    std::string engine;   ///< "embedded", "llamacpp", "ollama"
    std::string engine_version;
    int threads = 0;
    bool on_gpu = false;
    std::string model;
    std::string quantization;
    std::string key;                ///< model::shape_key
    std::int64_t blocks = 0;        ///< of the model
    bool experts = false;           ///< it has some
    std::int64_t depth = 0;         ///< tokens before the one in the middle
    std::int64_t decode_bytes = 0;  ///< read for one token, by model::decode_traffic
    double decode_tps = 0;
    double decode_low = 0;  ///< range of the truth
    double decode_high = 0;
    double prefill_flops = 0;  ///< for one token, by model::prefill_flops
    double prefill_tps = 0;
    double prefill_low = 0;
    double prefill_high = 0;

    bool operator==(const SpeedRun&) const = default;
};

/// A decode speed that was predicted, and what came of it.
struct PastPrediction {
    std::string when;
    std::string machine;
    std::string engine;
    std::string key;
    std::string basis;  ///< model::basis_name
    int threads = 0;
    std::int64_t depth = 0;
    std::int64_t decode_bytes = 0;  ///< read for one token at this depth
    double low = 0;
    double likely = 0;
    double high = 0;
    double measured = 0;  ///< 0: not yet

    bool operator==(const PastPrediction&) const = default;
};

/// Read bandwidth and arithmetic of a machine as they were last measured. A rate that isn't known is 0.
struct MachineRates {
    std::string when;
    std::string machine;
    int threads = 0;
    double read_gbps = 0;
    double read_gbps_1t = 0;
    double fp32_gflops = 0;
    double fp32_gflops_1t = 0;

    bool operator==(const MachineRates&) const = default;
};

/// What was found out about the speed of models: the file calibration.json in the user's state folder.
struct Calibration {
    std::vector<SpeedRun> runs;  ///< oldest first
    std::vector<PastPrediction> predictions;
    std::vector<MachineRates> rates;  ///< one for each machine
};

/// Reads schema/velollm-calibration-1.schema.json. `source` names the text in messages.
Result<Calibration> read_calibration(std::string_view json, const std::string& source);
std::string write_calibration(const Calibration& calibration);

}  // namespace velollm::serde
