#include <algorithm>
#include <utility>
#include <vector>

#include "backend/ollama_store_model.h"
#include "cli/cache_type.h"
#include "cli/commands.h"
#include "cli/machine_rates.h"
#include "cli/output.h"
#include "gguf/gguf.h"
#include "gguf/ollama_store.h"
#include "hardware/detect.h"
#include "model/calibration_file.h"
#include "model/recommend.h"
#include "report/recommend_report.h"

namespace velollm::cli {
namespace {

/// What is in the local Ollama store and can be read as a model.
std::vector<model::StoredModel> stored_models(const system::System& system) {
    std::vector<model::StoredModel> models;
    for (const std::string& name : gguf::list_models(backend::ollama_stores(system))) {
        const auto stored = backend::find_stored_model(system, name);
        if (!stored) continue;
        const auto file = gguf::read_model_file(stored->file);
        if (!file) continue;
        if (auto shape = model::shape_of(file->header)) models.push_back({stored->name, std::move(*shape)});
    }
    return models;
}

/// What was measured of this machine before, and now where that is asked for.
struct Known {
    serde::Calibration calibration;
    std::optional<double> host_gbps;
    report::RecommendNotes notes;
};

Known learn(const RecommendArgs& args, const system::System& system, const std::string& machine, Hardware& hardware) {
    Known known;
    auto calibration = model::load_calibration(system);
    if (calibration) {
        known.calibration = std::move(*calibration);
    } else {
        known.notes.calibration = calibration.error().message + ". " + calibration.error().hint;
    }
    const std::string now = system::utc_timestamp(system::unix_now_ms() / 1000);
    if (args.bandwidth) {
        measure_rates(system, machine, now, hardware, known.calibration);
        if (!hardware.memory.bandwidth->valid) {
            known.notes.bandwidth_missing = hardware.memory.bandwidth->reason;
        } else if (calibration) {
            const auto saved = model::save_calibration(known.calibration, system);
            if (!saved) known.notes.calibration = saved.error().message + ". " + saved.error().hint;
        }
    }
    if (const auto* rates = model::rates_of(known.calibration, machine)) {
        known.host_gbps = read_gbps(*rates, hardware.cpu.usable.count);
        if (rates->when != now) known.notes.bandwidth_when = rates->when;
    }
    return known;
}

}  // namespace

int cmd_recommend(const RecommendArgs& args, const system::System& system) {
    const report::Console console(style_of(args.out, system));
    const auto type = cache_type(args.kv_type);
    if (!type) return fail(console, type.error());
    system::SteadyClock clock;
    Hardware hardware = hardware::detect_with_libraries(system, hardware::ask_kernel(), clock);
    const std::string machine = machine_key(hardware);
    const Known known = learn(args, system, machine, hardware);

    const int threads = hardware.cpu.usable.count;
    const auto gpu_gbps = hardware.gpus.empty() ? std::nullopt : hardware.gpus.front().theoretical_gbps;
    const model::RecommendQuestion question{
        .context_tokens = args.least_context,
        .cache_type = *type,
        .least_tps = args.least_tps,
        .host = speed_grounds(known.calibration, machine, args.backend, threads, false, known.host_gbps),
        .gpu = speed_grounds(known.calibration, machine, args.backend, threads, true, gpu_gbps)};
    const model::Recommendation answer = model::recommend(question, stored_models(system), hardware);
    const int code = hand_over(args.out, console, report::recommendation_json(answer, known.notes, 2) + "\n",
                               report::recommendation_text(answer, known.notes, args.all), args.json);
    return code == 0 && !answer.picks.best ? 1 : code;
}

}  // namespace velollm::cli
