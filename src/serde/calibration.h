#pragma once

#include <velollm/result.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace velollm::serde {

/// How fast a model ran on a machine, as far as it tells about others.
struct SpeedRun {
    std::string when;     ///< UTC
    std::string machine;  ///< model::machine_key: what isn't of this machine is left alone
    std::string source;   ///< "benchmark", or "synthetic": a file with noise for weights
    std::string engine;   ///< "embedded", "llamacpp", "ollama"
    std::string engine_version;
    int threads = 0;  ///< 0: unknown
    bool on_gpu = false;
    std::string model;
    std::string quantization;
    std::string key;                ///< model::shape_key of its tensors
    std::int64_t depth = 0;         ///< tokens before the one in the middle
    std::int64_t decode_bytes = 0;  ///< read for one token, by model::decode_traffic
    double decode_tps = 0;
    double decode_low = 0;  ///< interval of the truth, as far as the run tells it; 0: unknown
    double decode_high = 0;
    double prefill_flops = 0;  ///< for one token; 0: not measured
    double prefill_tps = 0;
};

/// A speed that was predicted before the model was run.
struct PastPrediction {
    std::string when;
    std::string machine;
    std::string engine;
    std::string key;
    std::string basis;
    std::int64_t depth = 0;
    double low = 0;
    double likely = 0;
    double high = 0;
    std::optional<double> measured;  ///< once it was run
};

/// Read bandwidth and arithmetic as they were last measured.
struct MachineRates {
    std::string when;
    std::string machine;
    double read_gbps = 0;
    double read_gbps_1t = 0;
    double fp32_gflops = 0;  ///< 0: not measured
    double fp32_gflops_1t = 0;
    int threads = 0;
};

/// The file calibration.json in the user's state folder: what was found out about the speed of models here.
struct Calibration {
    std::vector<SpeedRun> runs;  ///< oldest first
    std::vector<PastPrediction> predictions;
    std::vector<MachineRates> rates;  ///< at most one a machine
};

/// Reads schema/velollm-calibration-1.schema.json. `source` names the text in messages.
Result<Calibration> read_calibration(std::string_view json, const std::string& source);
std::string write_calibration(const Calibration& calibration);

}  // namespace velollm::serde
