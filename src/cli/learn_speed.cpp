#include "cli/learn_speed.h"

#include <fmt/core.h>

#include <optional>
#include <utility>

#include "backend/make_backend.h"
#include "base/digest.h"
#include "base/text.h"
#include "gguf/gguf.h"
#include "gguf/tensor_types.h"
#include "model/calibration_file.h"
#include "model/traffic.h"
#include "report/hardware_json.h"
#include "report/speed_report.h"

namespace velollm::cli {
namespace {

/// Fewer tokens of a prompt tell little: its first token comes at the price of a whole step.
constexpr std::int64_t kShortPrompt = 100;

std::optional<model::ModelShape> shape_of(const TargetInfo& target, const system::System& system) {
    auto path = target.file.empty() ? backend::find_model_file(target.model, system)
                                    : Result<std::filesystem::path>(target.file);
    if (!path) return std::nullopt;
    const auto file = gguf::read_model_file(*path);
    if (!file) return std::nullopt;
    auto shape = model::shape_of(file->header);
    return shape ? std::optional(std::move(*shape)) : std::nullopt;
}

std::uint32_t cache_type(const std::string& name) {
    for (std::uint32_t number = 0; number < gguf::kTensorTypeCount; ++number)
        if (const auto* type = gguf::tensor_type(number); type != nullptr && base::lower(type->name) == name)
            return number;
    return gguf::types::kF16;
}

struct Spread {
    double low = 0;
    double median = 0;
    double high = 0;
};

/// The interval of the median; without one what was seen.
Spread spread_of(const Distribution& values) {
    if (values.interval) return {values.interval->lower, values.median, values.interval->upper};
    return {values.min, values.median, values.max};
}

std::optional<serde::SpeedRun> run_of(const report::Context& context, const BenchmarkResult& result,
                                      const model::ModelShape& shape) {
    const Distribution* decode = result.summary.find("decode_tps");
    const double gpu = context.loaded.gpu_share.value_or(0);
    const bool in_one_memory = gpu == 0 || gpu == 1;
    if (decode == nullptr || decode->median <= 0 || result.summary.verdict == Verdict::kInvalid || !in_one_memory)
        return std::nullopt;
    const std::int64_t prompt = result.prompt_eval_count.value_or(0);
    const std::uint32_t type = cache_type(context.options.kv_type);
    serde::SpeedRun run{.when = result.timestamp,
                        .machine = base::sha256_hex(report::hardware_key_text(context.hardware)),
                        .source = "benchmark",
                        .engine = context.target.kind,
                        .engine_version = context.target.version,
                        .threads = context.loaded.threads.value_or(
                            context.options.num_thread.value_or(context.hardware.cpu.usable.count)),
                        .on_gpu = gpu == 1,
                        .model = context.target.model,
                        .quantization = shape.quantization,
                        .key = model::shape_key(shape),
                        .blocks = static_cast<std::int64_t>(shape.blocks.size()),
                        .experts = shape.experts > 0,
                        .depth = prompt + result.eval_count.value_or(0) / 2};
    run.decode_bytes = model::decode_traffic(shape, run.depth, type, type).total_bytes();
    const Spread speed = spread_of(*decode);
    run.decode_low = speed.low;
    run.decode_tps = speed.median;
    run.decode_high = speed.high;
    const Distribution* prefill = result.summary.find("prefill_tps");
    if (prefill != nullptr && prefill->median > 0 && prompt >= kShortPrompt) {
        const Spread reading = spread_of(*prefill);
        run.prefill_flops = model::prefill_flops(shape, prompt / 2);
        run.prefill_low = reading.low;
        run.prefill_tps = reading.median;
        run.prefill_high = reading.high;
    }
    return run;
}

}  // namespace

std::string learn_speed(const std::vector<report::ReportedResult>& reported, const system::System& system) {
    auto calibration = model::load_calibration(system);
    if (!calibration) return "";
    std::string text;
    const report::Context* last = nullptr;
    std::optional<model::ModelShape> shape;
    bool learnt = false;
    for (const auto& [context, result] : reported) {
        if (context != last) shape = shape_of(context->target, system);
        last = context;
        auto run = shape && shape->tensors.size() > 0 ? run_of(*context, *result, *shape) : std::nullopt;
        if (!run) continue;
        learnt = true;
        const std::string name = run->model;
        if (const auto past = model::put_run(*calibration, std::move(*run))) text += report::truth_text(*past, name);
    }
    if (learnt && !model::save_calibration(std::move(*calibration), system)) return "";
    return text;
}

}  // namespace velollm::cli
