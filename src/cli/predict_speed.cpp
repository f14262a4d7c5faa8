#include "cli/predict_speed.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "backend/embedded.h"
#include "base/digest.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "hardware/bandwidth.h"
#include "hardware/detect.h"
#include "model/calibration_file.h"
#include "report/hardware_json.h"

namespace velollm::cli {
namespace fs = std::filesystem;

namespace {

std::int64_t last_level_cache(const Hardware& hardware) {
    std::int64_t bytes = 0;
    for (const Cache& cache : hardware.cpu.caches)
        if (cache.level == 3) bytes += cache.size_bytes * cache.instances;
    return bytes;
}

/// One line on the terminal, written over and over. A thread would be in the way of the copies of this process.
class StepLine {
public:
    explicit StepLine(bool on) : on_(on) {}
    ~StepLine() {
        if (on_) std::fputs("\r\x1b[K", stderr);
    }
    StepLine(const StepLine&) = delete;
    StepLine& operator=(const StepLine&) = delete;

    void show(const model::MeasureStep& step) const {
        if (!on_) return;
        const auto left = static_cast<int>(step.seconds_left + 0.5);
        const std::string text =
            fmt::format("\r\x1b[K{} {} of {}, {}:{:02} left", step.writing ? "Writing file" : "Measuring",
                        step.done + 1, step.of, left / 60, left % 60);
        std::fputs(text.c_str(), stderr);
        std::fflush(stderr);
    }

private:
    bool on_;
};

/// The rate with so many threads, between what one and what all of them reach.
std::optional<double> with_threads(double one, double all, int threads_of_all, int threads) {
    if (all <= 0) return std::nullopt;
    if (threads >= threads_of_all || one <= 0) return all;
    return std::min(all, one * threads);
}

Result<model::MeasureLimits> limits_of(const fs::path& folder, const Hardware& hardware,
                                       const model::SpeedGrounds& grounds) {
    model::MeasureLimits limits{.memory_bytes = hardware.memory.available_bytes,
                                .cache_bytes = last_level_cache(hardware)};
    std::error_code error;
    fs::create_directories(folder, error);
    const auto space = fs::space(folder, error);
    if (error)
        return Error{ErrorCode::kFailed, fmt::format("Cannot use {}: {}", folder.string(), error.message()),
                     "Let XDG_CACHE_HOME name a folder that can be written."};
    limits.disk_bytes = static_cast<std::int64_t>(std::min<std::uintmax_t>(space.available, INT64_MAX));
    limits.prefill_gflops = grounds.fp32_gflops ? 0.6 * *grounds.fp32_gflops : 50.0 * grounds.threads;
    if (grounds.read_gbps) limits.read_gbps = 0.5 * *grounds.read_gbps;
    return limits;
}

Result<void> may_measure(const PredictArgs& args, const model::Prediction& prediction) {
    if (args.backend != "embedded")
        return Error{ErrorCode::kUsage, "--measure times the embedded engine",
                     "Leave --backend out; servers built on llama.cpp are a little slower than it."};
    if (prediction.on_gpu)
        return Error{ErrorCode::kFailed, "The model would run on the GPU, and --measure times the processor",
                     "Leave --measure out, or hide the GPU from this program."};
    if (!prediction.fits())
        return Error{ErrorCode::kFailed,
                     "The model doesn't fit memory: what comes from the disk at each token can't be extrapolated",
                     "Take a smaller quantisation (--quantization Q4_0), or leave --measure out."};
    return {};
}

}  // namespace

SpeedOfPrediction::SpeedOfPrediction(const PredictArgs& args, const system::System& system, Hardware& hardware)
    : args_(args),
      system_(system),
      hardware_(hardware),
      machine_(base::sha256_hex(report::hardware_key_text(hardware))),
      now_(system::utc_timestamp(system::unix_now_ms() / 1000)) {
    auto known = model::load_calibration(system);
    usable_ = static_cast<bool>(known);
    if (usable_) {
        calibration_ = std::move(*known);
    } else {
        note_ = known.error().message + ". " + known.error().hint;
    }
}

void SpeedOfPrediction::learn_bandwidth(model::Prediction& prediction) {
    if (args_.bandwidth && !prediction.on_gpu) {
        hardware::Probes probes = hardware::run_probes(system_, hardware::ask_kernel(), hardware_);
        if (probes.bandwidth.valid)
            model::put_rates(calibration_, {.when = now_,
                                            .machine = machine_,
                                            .threads = probes.bandwidth.threads,
                                            .read_gbps = probes.bandwidth.read_gbps.value_or(0),
                                            .read_gbps_1t = probes.bandwidth.read_gbps_1t.value_or(0),
                                            .fp32_gflops = probes.peak.fp32_gflops.value_or(0),
                                            .fp32_gflops_1t = probes.peak.fp32_gflops_1t.value_or(0)});
        hardware_.memory.bandwidth = std::move(probes.bandwidth);
        model::take_bandwidth(hardware_, prediction);
    }
    const serde::MachineRates* rates = model::rates_of(calibration_, machine_);
    if (prediction.on_gpu || rates == nullptr) return;
    if (rates->when != now_) prediction.bandwidth_when = rates->when;
    prediction.bandwidth_gbps = with_threads(rates->read_gbps_1t, rates->read_gbps, rates->threads, prediction.threads);
    prediction.bandwidth_measured = true;
}

model::SpeedGrounds SpeedOfPrediction::grounds(const model::Prediction& prediction) const {
    model::SpeedGrounds grounds{.calibration = calibration_,
                                .machine = machine_,
                                .engine = prediction.engine,
                                .threads = prediction.threads,
                                .on_gpu = prediction.on_gpu,
                                .read_gbps = prediction.bandwidth_gbps,
                                .fp32_gflops = std::nullopt};
    if (const auto* rates = model::rates_of(calibration_, machine_))
        grounds.fp32_gflops =
            with_threads(rates->fp32_gflops_1t, rates->fp32_gflops, rates->threads, prediction.threads);
    return grounds;
}

Result<void> SpeedOfPrediction::measure(const fs::path& file, model::Prediction& prediction) {
    if (const auto may = may_measure(args_, prediction); !may) return may;
    const fs::path folder = system::cache_folder(system_);
    const model::SpeedGrounds known = grounds(prediction);
    const auto limits = limits_of(folder, hardware_, known);
    if (!limits) return limits.error();
    const backend::PaceSpec spec{.file = file,
                                 .threads = prediction.threads,
                                 .depth = prediction.depth,
                                 .key_type = prediction.question.settings.key_type,
                                 .value_type = prediction.question.settings.value_type};
    const StepLine line(stderr_is_terminal() && !args_.out.quiet);
    const auto told = [&](const model::MeasureStep& step) { line.show(step); };
    auto speed = model::measure_speed(prediction.shape, spec, *limits, folder, told, interrupted);
    if (!speed) return speed.error();
    const model::ModelShape& shape = prediction.shape;
    model::put_run(calibration_, {.when = now_,
                                  .machine = machine_,
                                  .source = file.empty() ? "synthetic" : "file",
                                  .engine = prediction.engine,
                                  .engine_version = backend::embedded_engine_version(),
                                  .threads = prediction.threads,
                                  .on_gpu = false,
                                  .model = shape.name,
                                  .quantization = shape.quantization,
                                  .key = model::shape_key(shape),
                                  .blocks = static_cast<std::int64_t>(shape.blocks.size()),
                                  .experts = shape.experts > 0,
                                  .depth = prediction.depth,
                                  .decode_bytes = prediction.traffic.total_bytes(),
                                  .decode_tps = speed->decode.tps.likely,
                                  .decode_low = speed->decode.tps.low,
                                  .decode_high = speed->decode.tps.high,
                                  .prefill_flops = model::prefill_flops(shape, prediction.depth),
                                  .prefill_tps = speed->prefill.tps.likely,
                                  .prefill_low = speed->prefill.tps.low,
                                  .prefill_high = speed->prefill.tps.high});
    prediction.measured = std::move(*speed);
    return {};
}

Result<void> SpeedOfPrediction::work_out(const fs::path& file, model::Prediction& prediction) {
    prediction.engine = args_.backend;
    prediction.threads = args_.threads > 0 ? args_.threads : hardware_.cpu.usable.count;
    learn_bandwidth(prediction);
    if (args_.measure) {
        if (const auto done = measure(file, prediction); !done) return done;
    }
    if (prediction.fits())
        prediction.speed =
            model::forecast(prediction.shape, prediction.depth, prediction.traffic.total_bytes(), grounds(prediction));
    const model::SpeedForecast& speed = prediction.speed;
    const bool open = speed.decode && (speed.basis != model::SpeedBasis::kMeasuredHere || speed.synthetic);
    if (open)
        model::put_prediction(calibration_, {.when = now_,
                                             .machine = machine_,
                                             .engine = prediction.engine,
                                             .key = model::shape_key(prediction.shape),
                                             .basis = std::string(model::basis_name(speed.basis)),
                                             .threads = prediction.threads,
                                             .depth = prediction.depth,
                                             .decode_bytes = prediction.traffic.total_bytes(),
                                             .low = speed.decode->low,
                                             .likely = speed.decode->likely,
                                             .high = speed.decode->high,
                                             .measured = 0});
    if (!usable_ || !(open || args_.measure || args_.bandwidth)) return {};
    const auto saved = model::save_calibration(calibration_, system_);
    // A forecast that isn't remembered is as good as another.
    if (!saved && (args_.measure || args_.bandwidth)) note_ = saved.error().message + ". " + saved.error().hint;
    return {};
}

}  // namespace velollm::cli
