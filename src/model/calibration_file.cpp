#include "model/calibration_file.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace velollm::model {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kKept = 300;

template <typename Entry>
void keep_newest(std::vector<Entry>& entries) {
    if (entries.size() > kKept) entries.erase(entries.begin(), entries.end() - static_cast<std::ptrdiff_t>(kKept));
}

}  // namespace

fs::path calibration_file(const system::System& system) {
    return system::state_folder(system) / "calibration.json";
}

Result<serde::Calibration> load_calibration(const system::System& system) {
    const fs::path path = calibration_file(system);
    const auto text = system::read_file(path);
    if (!text) return serde::Calibration{};
    return serde::read_calibration(*text, path.string());
}

Result<void> save_calibration(serde::Calibration calibration, const system::System& system) {
    keep_newest(calibration.runs);
    keep_newest(calibration.predictions);
    const fs::path path = calibration_file(system);
    if (const auto made = system::make_folder(path.parent_path()); !made) return made;
    return system::write_file_atomic(path, serde::write_calibration(calibration));
}

void put_rates(serde::Calibration& calibration, serde::MachineRates rates) {
    std::erase_if(calibration.rates, [&](const auto& old) { return old.machine == rates.machine; });
    calibration.rates.push_back(std::move(rates));
}

const serde::MachineRates* rates_of(const serde::Calibration& calibration, const std::string& machine) {
    for (const serde::MachineRates& rates : calibration.rates)
        if (rates.machine == machine) return &rates;
    return nullptr;
}

void put_prediction(serde::Calibration& calibration, serde::PastPrediction prediction) {
    std::erase_if(calibration.predictions, [&](const serde::PastPrediction& old) {
        return old.measured == 0 && old.machine == prediction.machine && old.engine == prediction.engine &&
               old.key == prediction.key && old.depth == prediction.depth;
    });
    calibration.predictions.push_back(std::move(prediction));
}

std::optional<serde::PastPrediction> put_run(serde::Calibration& calibration, serde::SpeedRun run) {
    std::optional<serde::PastPrediction> met;
    for (auto past = calibration.predictions.rbegin(); past != calibration.predictions.rend() && !met; ++past) {
        if (run.source != "benchmark" || past->measured > 0 || past->machine != run.machine ||
            past->engine != run.engine || past->key != run.key || past->threads != run.threads)
            continue;
        past->measured =
            run.decode_tps * static_cast<double>(run.decode_bytes) / static_cast<double>(past->decode_bytes);
        met = *past;
    }
    calibration.runs.push_back(std::move(run));
    return met;
}

}  // namespace velollm::model
