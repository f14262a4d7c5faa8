#include "model/measure.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "model/blocks.h"
#include "model/pace_rounds.h"
#include "model/synthetic_file.h"
#include "model/traffic.h"
#include "system/system.h"

namespace velollm::model {
namespace {

constexpr int kRounds = 5;
constexpr int kMoreRounds = 2;
constexpr int kMostRounds = 9;
constexpr double kWidest = 0.20;
constexpr double kShareOfMemory = 0.6;
constexpr double kWriteGbps = 0.6;
constexpr double kLoadGbps = 1.0;  ///< read into memory, and repacked
constexpr double kDecodeSeconds = 1.2;
constexpr double kStartSeconds = 0.2;
constexpr double kWarmUpTokens = 32;

/// One file of a model: what it takes, and what a round of it costs.
struct FileCost {
    std::int64_t bytes = 0;
    double write_seconds = 0;
    double round_seconds = 0;
};

FileCost cost_of(const ModelShape& part, std::int64_t depth, std::int64_t prefill_tokens, const MeasureLimits& limits) {
    FileCost cost{.bytes = tensor_bytes(part.tensors)};
    const double gb = static_cast<double>(cost.bytes) / 1e9;
    const double tokens = static_cast<double>(prefill_tokens + depth) + kWarmUpTokens;
    const double token = static_cast<double>(decode_traffic(part, depth, 1, 1).total_bytes()) / 1e9 / limits.read_gbps;
    cost.write_seconds = gb / kWriteGbps;
    cost.round_seconds = kStartSeconds + gb / kLoadGbps +
                         tokens * prefill_flops(part, depth) / 1e9 / limits.prefill_gflops +
                         std::max(kDecodeSeconds, 12 * token);
    return cost;
}

std::vector<std::size_t> all_blocks(const ModelShape& shape) {
    return spread_blocks(shape, static_cast<std::int64_t>(shape.blocks.size()));
}

MeasurePlan plan_of(const ModelShape& shape, std::vector<std::vector<std::size_t>> files, std::int64_t depth,
                    const MeasureLimits& limits) {
    // A long prompt of a large model takes its time, and its speed hardly depends on the length of the batch.
    constexpr double kLarge = 8e9;
    MeasurePlan plan{.files = std::move(files), .prefill_tokens = prefill_flops(shape, 0) > kLarge ? 128 : 256};
    for (const auto& blocks : plan.files) {
        const FileCost cost = cost_of(with_blocks(shape, blocks), depth, plan.prefill_tokens, limits);
        plan.disk_bytes += cost.bytes;
        plan.seconds += cost.write_seconds + kRounds * cost.round_seconds;
    }
    return plan;
}

std::int64_t bytes_of(const ModelShape& shape, const std::vector<std::size_t>& blocks) {
    return tensor_bytes(with_blocks(shape, blocks).tensors);
}

/// The smaller of two files: the fewest whole turns from a quarter of the larger one on, that still outgrow the cache.
std::vector<std::size_t> smaller(const ModelShape& shape, std::size_t large, const MeasureLimits& limits) {
    const auto period = static_cast<std::size_t>(block_period(shape));
    std::vector<std::size_t> best = spread_blocks(shape, 1);
    for (std::size_t count = std::max<std::size_t>(large / 4, 1); count <= large / 2; count += period) {
        best = spread_blocks(shape, static_cast<std::int64_t>(count));
        if (decode_traffic(with_blocks(shape, best), 0, 1, 1).total_bytes() >= 2 * limits.cache_bytes) break;
    }
    return best;
}

/// What is in the way of a plan whose largest file takes so much of memory; nothing: it can be carried out.
Result<void> room_for(std::int64_t in_memory, std::int64_t on_disk, const MeasureLimits& limits) {
    const auto needed = static_cast<std::int64_t>(static_cast<double>(in_memory) / kShareOfMemory);
    const bool memory = needed > limits.memory_bytes;
    if (!memory && on_disk <= limits.disk_bytes) return {};
    return Error{ErrorCode::kFailed,
                 fmt::format("Measuring needs {:.1f} GB of {}, and {:.1f} GB are free",
                             static_cast<double>(memory ? needed : on_disk) / 1e9, memory ? "memory" : "disk",
                             static_cast<double>(memory ? limits.memory_bytes : limits.disk_bytes) / 1e9),
                 "Free some, take a smaller quantisation, or leave --measure out."};
}

/// The line, or the file itself.
PaceEstimate decode_of(const ModelShape& shape, const std::vector<ModelShape>& parts,
                       const std::vector<FilePaces>& paces, const backend::PaceSpec& spec) {
    const auto size = [&](const ModelShape& part) {
        return static_cast<double>(decode_traffic(part, spec.depth, spec.key_type, spec.value_type).total_bytes());
    };
    if (parts.size() == 1) return estimate_of({size(parts[0]), paces[0].decode});
    return estimate_at(size(shape), {size(parts[0]), paces[0].decode}, {size(parts[1]), paces[1].decode});
}

PaceEstimate prefill_of(const ModelShape& shape, const std::vector<ModelShape>& parts,
                        const std::vector<FilePaces>& paces) {
    const auto size = [](const ModelShape& part) { return static_cast<double>(part.blocks.size()); };
    if (parts.size() == 1) return estimate_of({size(parts[0]), paces[0].prefill});
    return estimate_at(size(shape), {size(parts[0]), paces[0].prefill}, {size(parts[1]), paces[1].prefill});
}

bool narrow(const PaceEstimate& estimate) {
    return estimate.tps.likely > 0 && estimate.half_width() <= kWidest;
}

void append(const std::vector<FilePaces>& more, std::vector<FilePaces>& paces) {
    for (std::size_t i = 0; i < paces.size(); ++i) {
        paces[i].prefill.insert(paces[i].prefill.end(), more[i].prefill.begin(), more[i].prefill.end());
        paces[i].decode.insert(paces[i].decode.end(), more[i].decode.begin(), more[i].decode.end());
    }
}

/// What is timed: files of noise, or the model's own.
struct TimedFiles {
    std::vector<ModelShape> parts;
    std::vector<SyntheticFile> made;
    std::vector<std::filesystem::path> paths;
};

Result<TimedFiles> make_files(const ModelShape& shape, const MeasurePlan& plan, const backend::PaceSpec& spec,
                              const std::filesystem::path& folder, const std::function<void(const MeasureStep&)>& told,
                              const std::function<bool()>& stop) {
    TimedFiles files;
    for (const auto& blocks : plan.files) {
        files.parts.push_back(with_blocks(shape, blocks));
        if (!spec.file.empty()) {
            files.paths.push_back(spec.file);
            continue;
        }
        told({true, static_cast<int>(files.made.size()), static_cast<int>(plan.files.size()), plan.seconds});
        auto file = SyntheticFile::write(files.parts.back(), folder, stop);
        if (!file) return file.error();
        files.made.push_back(std::move(*file));
        files.paths.push_back(files.made.back().path());
    }
    return files;
}

}  // namespace

Result<MeasurePlan> plan_measurement(const ModelShape& shape, std::int64_t depth, const MeasureLimits& limits) {
    const MeasurePlan whole = plan_of(shape, {all_blocks(shape)}, depth, limits);
    const auto room = room_for(whole.disk_bytes, whole.disk_bytes, limits);
    const auto all = static_cast<std::int64_t>(shape.blocks.size());
    const std::int64_t period = block_period(shape);
    const bool in_parts = period * 3 <= all;
    if (room && (whole.seconds <= limits.seconds || !in_parts)) return whole;
    if (!in_parts) return room.error();
    std::optional<MeasurePlan> best;
    for (std::int64_t count = (all + 2) / 3; count < all; count += period) {
        auto large = spread_blocks(shape, count);
        auto small = smaller(shape, large.size(), limits);
        if (static_cast<std::int64_t>(large.size()) >= all || small.size() >= large.size()) break;
        const std::int64_t in_memory = bytes_of(shape, large);
        const MeasurePlan plan = plan_of(shape, {std::move(small), std::move(large)}, depth, limits);
        const auto fits = room_for(in_memory, plan.disk_bytes, limits);
        if (!best && !fits) return fits.error();
        if (best && (!fits || plan.seconds > limits.seconds)) break;
        best = plan;
    }
    if (best) return *best;
    return room ? Result<MeasurePlan>(whole) : room.error();
}

Result<ModelSpeed> measure_speed(const ModelShape& shape, backend::PaceSpec spec, const MeasureLimits& limits,
                                 const std::filesystem::path& folder,
                                 const std::function<void(const MeasureStep&)>& told,
                                 const std::function<bool()>& stop) {
    system::SteadyClock clock;
    const TimePoint begin = clock.now();
    const auto since = [&](TimePoint from) { return to_seconds(clock.now() - from); };
    const auto plan = spec.file.empty() ? plan_measurement(shape, spec.depth, limits)
                                        : Result<MeasurePlan>(plan_of(shape, {all_blocks(shape)}, spec.depth, limits));
    if (!plan) return plan.error();
    auto made = make_files(shape, *plan, spec, folder, told, stop);
    if (!made) return made.error();
    spec.prefill_tokens = plan->prefill_tokens;
    const TimePoint timed = clock.now();
    const double expected = plan->seconds - to_seconds(timed - begin);
    ModelSpeed speed{.prefill_tokens = plan->prefill_tokens};
    for (const ModelShape& part : made->parts) speed.blocks.push_back(static_cast<std::int64_t>(part.blocks.size()));
    std::vector<FilePaces> paces(made->paths.size());
    while (speed.rounds < kMostRounds) {
        const int rounds = speed.rounds == 0 ? kRounds : kMoreRounds;
        const int before = speed.rounds * static_cast<int>(paces.size());
        const int all = (speed.rounds + rounds) * static_cast<int>(paces.size());
        const auto step = [&](int done) {
            const int so_far = before + done;
            told({false, so_far, all, so_far == 0 ? expected : since(timed) / so_far * (all - so_far)});
        };
        const auto more = time_in_rounds(made->paths, spec, {.rounds = rounds}, step, stop);
        if (!more) return more.error();
        append(*more, paces);
        speed.rounds += rounds;
        speed.decode = decode_of(shape, made->parts, paces, spec);
        speed.prefill = prefill_of(shape, made->parts, paces);
        speed.seconds = since(begin);
        if (narrow(speed.decode) && narrow(speed.prefill)) return speed;
    }
    return Error{ErrorCode::kFailed,
                 fmt::format("The machine is too unsteady: {} rounds leave the speed uncertain by more than {:.0f} %",
                             speed.rounds, 100 * kWidest),
                 "Close other programs and try again, or leave --measure out."};
}

}  // namespace velollm::model
