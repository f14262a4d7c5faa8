#include "serde/calibration.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace velollm::serde {
namespace {
constexpr const char* kSchema = "velollm-calibration-1";
}

// The library finds these by their names. Keys of the file are the fields' names; those that are missing keep their
// initial values, so that files of older versions can be read.
// NOLINTBEGIN
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(SpeedRun, when, machine, source, engine, engine_version, threads,
                                                on_gpu, model, quantization, key, blocks, experts, depth, decode_bytes,
                                                decode_tps, decode_low, decode_high, prefill_flops, prefill_tps,
                                                prefill_low, prefill_high)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(PastPrediction, when, machine, engine, key, basis, threads, depth,
                                                decode_bytes, low, likely, high, measured)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(MachineRates, when, machine, threads, read_gbps, read_gbps_1t,
                                                fp32_gflops, fp32_gflops_1t)
// NOLINTEND

Result<Calibration> read_calibration(std::string_view text, const std::string& source) {
    const auto broken = [&](std::string_view why) {
        return Error{ErrorCode::kFailed, fmt::format("{} can't be used: {}", source, why),
                     "It only makes forecasts of speed better: delete it, and it is begun anew."};
    };
    try {
        const nlohmann::json document = nlohmann::json::parse(text);
        if (document.value("schema", "") != kSchema) return broken("it is of another version");
        Calibration calibration{document.value("runs", std::vector<SpeedRun>{}),
                                document.value("predictions", std::vector<PastPrediction>{}),
                                document.value("rates", std::vector<MachineRates>{})};
        for (const SpeedRun& run : calibration.runs)
            if (!(run.decode_tps > 0) || run.decode_bytes <= 0) return broken("it has a run without a speed");
        return calibration;
    } catch (const nlohmann::json::exception& error) {
        return broken(base::one_line(error.what(), 200));
    }
}

std::string write_calibration(const Calibration& calibration) {
    nlohmann::ordered_json document{{"schema", kSchema}};
    document["runs"] = nlohmann::json(calibration.runs);
    document["predictions"] = nlohmann::json(calibration.predictions);
    document["rates"] = nlohmann::json(calibration.rates);
    return document.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace velollm::serde
