#include "model/speed.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "base/digest.h"
#include "stats/quantile.h"

namespace velollm::model {
namespace {

using serde::SpeedRun;

constexpr std::size_t kNewest = 5;  ///< runs of one model that are looked at

/// What engines were seen to reach of a read bandwidth, and the time that each block costs beside it: low, likely and
/// high speed. On processors: 1 and 2 threads of a server's, llama.cpp 0.5.0, 0.1B to 2B. On GPUs: fits to public
/// measurements of five of them, 0.37 to 0.84 of the theoretical bandwidth and 0.8 to 1.7 ms a token.
struct Reach {
    double share;
    double start_seconds;  ///< a block on a processor, a token on a GPU
};
constexpr Reach kCpuReach[] = {{0.35, 120e-6}, {0.60, 60e-6}, {0.95, 0}};
constexpr Reach kGpuReach[] = {{0.45, 2e-3}, {0.75, 1.2e-3}, {0.87, 0.5e-3}};
/// Experts are small matrices, chosen anew for each token: seen at 0.72 to 0.95 of the speed that their bytes promise.
constexpr double kExpertsFactor[] = {0.65, 0.85, 1.0};
/// Prefill as a share of the peak of F32 arithmetic. Above 1: 8-bit dot products are faster than it.
constexpr double kPrefillShare[] = {0.25, 0.6, 1.4};

bool is_head(const gguf::Tensor& tensor) {
    return tensor.name == "token_embd.weight" || tensor.name == "output.weight";
}

double elements_used(const gguf::Tensor& tensor, const ModelShape& shape) {
    if (const auto block = block_of(tensor); block && *block >= shape.blocks.size()) return 0;
    const auto elements = static_cast<double>(gguf::element_count(tensor).value_or(0));
    const bool routed = tensor.name.find("_exps.") != std::string::npos && shape.experts > 0;
    const auto used = static_cast<double>(std::min(shape.experts_used, shape.experts));
    return routed ? elements * used / static_cast<double>(shape.experts) : elements;
}

SpeedRange around(double likely, double down, double up) {
    return {.low = likely / (1 + down), .likely = likely, .high = likely * (1 + up)};
}

/// The newest runs that count, at most `kNewest` of each model.
std::vector<SpeedRun> counted(const SpeedGrounds& grounds, const std::string& key, bool same_model) {
    std::vector<SpeedRun> runs;
    for (auto run = grounds.calibration.runs.rbegin(); run != grounds.calibration.runs.rend(); ++run) {
        const auto known =
            std::count_if(runs.begin(), runs.end(), [&](const SpeedRun& r) { return r.key == run->key; });
        if (run->machine == grounds.machine && run->engine == grounds.engine && run->threads == grounds.threads &&
            run->on_gpu == grounds.on_gpu && (run->key == key) == same_model && known < static_cast<long>(kNewest))
            runs.push_back(*run);
    }
    return runs;
}

/// What benchmarks made of forecasts from files of noise: the median of measured ÷ likely. 1 where none came of it.
double correction(const SpeedGrounds& grounds) {
    std::vector<double> ratios;
    for (const serde::PastPrediction& past : grounds.calibration.predictions)
        if (past.measured > 0 && past.likely > 0 && past.machine == grounds.machine && past.engine == grounds.engine &&
            past.basis == basis_name(SpeedBasis::kMeasuredHere))
            ratios.push_back(past.measured / past.likely);
    return ratios.empty() ? 1.0 : std::clamp(stats::median_of(ratios), 0.5, 1.5);
}

std::string count_text(std::size_t count, std::string_view one) {
    return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

/// Of one kind: a benchmark says more than a file of noise.
void keep_best_source(std::vector<SpeedRun>& runs) {
    const auto synthetic = [](const SpeedRun& run) { return run.source != "benchmark"; };
    if (!std::all_of(runs.begin(), runs.end(), synthetic)) std::erase_if(runs, synthetic);
}

std::vector<double> values(const std::vector<SpeedRun>& runs, double SpeedRun::*field) {
    std::vector<double> all;
    for (const SpeedRun& run : runs)
        if (run.*field > 0) all.push_back(run.*field);
    return all;
}

SpeedForecast measured_here(std::vector<SpeedRun> runs, std::int64_t decode_bytes, const SpeedGrounds& grounds) {
    keep_best_source(runs);
    const bool synthetic = runs.front().source == "synthetic";
    const double factor = synthetic ? correction(grounds) : 1.0;
    SpeedForecast forecast{.basis = SpeedBasis::kMeasuredHere, .synthetic = synthetic};
    forecast.because = synthetic ? "a file of this shape, with noise for weights, was timed here"
                                 : fmt::format("{} of this model here", count_text(runs.size(), "run"));
    std::vector<double> likely;
    std::vector<double> ends;
    for (const SpeedRun& run : runs) {
        const double scale = factor * static_cast<double>(run.decode_bytes) / static_cast<double>(decode_bytes);
        likely.push_back(run.decode_tps * scale);
        for (const double end : {run.decode_low, run.decode_high})
            if (end > 0) ends.push_back(end * scale);
    }
    SpeedRange range = around(stats::median_of(likely), 0.05, 0.05);
    for (const double end : ends) {
        range.low = std::min(range.low, end);
        range.high = std::max(range.high, end);
    }
    forecast.decode = range;
    if (auto prefill = values(runs, &SpeedRun::prefill_tps); !prefill.empty()) {
        const auto lows = values(runs, &SpeedRun::prefill_low);
        const auto highs = values(runs, &SpeedRun::prefill_high);
        SpeedRange speed = around(stats::median_of(prefill), 0.1, 0.1);
        if (!lows.empty()) speed.low = std::min(speed.low, *std::min_element(lows.begin(), lows.end()));
        if (!highs.empty()) speed.high = std::max(speed.high, *std::max_element(highs.begin(), highs.end()));
        forecast.prefill = speed;
    }
    return forecast;
}

/// seconds = blocks * start + bytes * cost.
struct DecodeFit {
    double start = 0;
    double cost = 0;
    double spread = 0;  ///< standard deviation of measured ÷ fitted

    double seconds(double blocks, double bytes) const { return blocks * start + bytes * cost; }
};

/// Least squares of relative errors, neither figure below zero. With one model, and where no better can be had, the
/// start is the usual one and the cost follows.
DecodeFit fit(const std::vector<SpeedRun>& runs, bool on_gpu) {
    // Each run as blocks x + bytes y = 1 in units of its own seconds.
    double xx = 0;
    double xy = 0;
    double yy = 0;
    double x1 = 0;
    double y1 = 0;
    std::vector<double> costs;
    const double usual = on_gpu ? 30e-6 : kCpuReach[1].start_seconds;
    for (const SpeedRun& run : runs) {
        const double x = static_cast<double>(run.blocks) * run.decode_tps;
        const double y = static_cast<double>(run.decode_bytes) * run.decode_tps;
        xx += x * x, xy += x * y, yy += y * y, x1 += x, y1 += y;
        costs.push_back(std::max(1 - x * usual, 0.3) / y);
    }
    DecodeFit found{.start = usual, .cost = stats::median_of(costs)};
    const double determinant = xx * yy - xy * xy;
    if (determinant > 0.05 * xx * yy) {
        const double start = (x1 * yy - y1 * xy) / determinant;
        const double cost = (y1 * xx - x1 * xy) / determinant;
        if (start >= 0 && cost > 0) found = {.start = start, .cost = cost};
        if (start < 0) found = {.start = 0, .cost = y1 / yy};
    }
    double squares = 0;
    for (const SpeedRun& run : runs) {
        const double seconds = found.seconds(static_cast<double>(run.blocks), static_cast<double>(run.decode_bytes));
        squares += std::pow(1 / run.decode_tps / seconds - 1, 2);
    }
    found.spread = std::sqrt(squares / static_cast<double>(std::max<std::size_t>(runs.size(), 3) - 2));
    return found;
}

std::size_t models_in(const std::vector<SpeedRun>& runs) {
    std::set<std::string> keys;
    for (const SpeedRun& run : runs) keys.insert(run.key);
    return keys.size();
}

/// Prefill of other models: their arithmetic per second, of the same quantisation where there are any, since the
/// engine multiplies some types twice as fast as others.
std::optional<SpeedRange> prefill_like(const std::vector<SpeedRun>& runs, const ModelShape& shape, double flops) {
    std::vector<double> alike;
    std::vector<double> all;
    for (const SpeedRun& run : runs) {
        if (run.prefill_tps <= 0 || run.prefill_flops <= 0) continue;
        all.push_back(run.prefill_tps * run.prefill_flops);
        if (run.quantization == shape.quantization) alike.push_back(all.back());
    }
    if (!alike.empty()) return around(stats::median_of(alike) / flops, 0.3, 0.3);
    if (!all.empty()) return around(stats::median_of(all) / flops, 1.0, 1.0);
    return std::nullopt;
}

SpeedForecast same_machine(const std::vector<SpeedRun>& runs, const ModelShape& shape, std::int64_t depth,
                           std::int64_t decode_bytes) {
    const DecodeFit line = fit(runs, runs.front().on_gpu);
    const std::size_t models = models_in(runs);
    double likely = 1 / line.seconds(static_cast<double>(shape.blocks.size()), static_cast<double>(decode_bytes));
    // Few models leave open what else they differ by.
    const double width = std::max(models == 1 ? 0.40 : models == 2 ? 0.30 : 0.20, 1.2816 * line.spread);
    const bool new_kind =
        shape.experts > 0 && std::none_of(runs.begin(), runs.end(), [](const SpeedRun& r) { return r.experts; });
    if (new_kind) likely *= kExpertsFactor[1];
    SpeedForecast forecast{.basis = SpeedBasis::kSameMachine};
    forecast.because = fmt::format("{} of {} here", count_text(runs.size(), "run"), count_text(models, "other model"));
    forecast.decode = around(likely, new_kind ? width + 0.3 : width, width);
    forecast.prefill = prefill_like(runs, shape, prefill_flops(shape, depth));
    return forecast;
}

SpeedForecast by_formula(const ModelShape& shape, std::int64_t depth, std::int64_t decode_bytes,
                         const SpeedGrounds& grounds) {
    SpeedForecast forecast{.basis = SpeedBasis::kFormula};
    if (!grounds.read_gbps) {
        forecast.missing = "the bandwidth of the memory is not known";
        return forecast;
    }
    const auto speed = [&](int i) {
        const Reach& reach = grounds.on_gpu ? kGpuReach[i] : kCpuReach[i];
        const double starts = grounds.on_gpu ? 1.0 : static_cast<double>(shape.blocks.size());
        const double seconds =
            starts * reach.start_seconds + static_cast<double>(decode_bytes) / (reach.share * *grounds.read_gbps * 1e9);
        return (shape.experts > 0 ? kExpertsFactor[i] : 1.0) / seconds;
    };
    forecast.decode = SpeedRange{.low = speed(0), .likely = speed(1), .high = speed(2)};
    forecast.because = fmt::format("{:.0f} GB/s, of which engines reach {:.0f} to {:.0f} %", *grounds.read_gbps,
                                   100 * (grounds.on_gpu ? kGpuReach : kCpuReach)[0].share,
                                   100 * (grounds.on_gpu ? kGpuReach : kCpuReach)[2].share);
    if (grounds.fp32_gflops && !grounds.on_gpu) {
        const double all = *grounds.fp32_gflops * 1e9 / prefill_flops(shape, depth);
        forecast.prefill = SpeedRange{kPrefillShare[0] * all, kPrefillShare[1] * all, kPrefillShare[2] * all};
    }
    return forecast;
}

}  // namespace

std::string_view basis_name(SpeedBasis basis) {
    switch (basis) {
        case SpeedBasis::kMeasuredHere: return "measured_here";
        case SpeedBasis::kSameMachine: return "same_machine";
        case SpeedBasis::kFormula: break;
    }
    return "formula";
}

std::string shape_key(const ModelShape& shape) {
    std::vector<std::string> lines;
    for (const gguf::Tensor& tensor : shape.tensors)
        lines.push_back(fmt::format("{} {} {} {} {} {}\n", tensor.name, tensor.type, tensor.shape[0], tensor.shape[1],
                                    tensor.shape[2], tensor.shape[3]));
    std::sort(lines.begin(), lines.end());
    std::string text = shape.architecture + "\n";
    for (const std::string& line : lines) text += line;
    return base::sha256_hex(text).substr(0, 16);
}

double prefill_flops(const ModelShape& shape, std::int64_t depth) {
    double flops = 0;
    for (const gguf::Tensor& tensor : shape.tensors)
        if (tensor.shape[1] > 1 && !is_head(tensor)) flops += 2 * elements_used(tensor, shape);
    for (const Block& block : shape.blocks) {
        if (block.recurrent) continue;
        const std::int64_t seen = block.sliding ? std::min(depth, shape.sliding_window) : depth;
        const std::int64_t width = block.heads * (block.key_length + block.value_length);
        flops += 2.0 * static_cast<double>(width) * static_cast<double>(seen);
    }
    return flops;
}

SpeedForecast forecast(const ModelShape& shape, std::int64_t depth, std::int64_t decode_bytes,
                       const SpeedGrounds& grounds) {
    const std::string key = shape_key(shape);
    auto runs = counted(grounds, key, true);
    SpeedForecast result;
    if (!runs.empty()) {
        result = measured_here(std::move(runs), decode_bytes, grounds);
    } else if (runs = counted(grounds, key, false); !runs.empty()) {
        result = same_machine(runs, shape, depth, decode_bytes);
    } else {
        result = by_formula(shape, depth, decode_bytes, grounds);
    }
    if (result.decode && grounds.read_gbps)
        result.roofline_share = result.decode->likely * static_cast<double>(decode_bytes) / (*grounds.read_gbps * 1e9);
    return result;
}

}  // namespace velollm::model
