// How near a speed that is extrapolated from two files of few blocks comes to the speed of the whole model: what
// `velollm predict --measure` does with a model that is too large to be timed whole. Small models are timed all three
// ways here, in turn, with the program's own plan, rounds and interval; weights are noise throughout.
//
//   model_speed [--threads 1,2] [--rounds 5] [--only NAME] [--twin FILE] [--raw 1]
//
// --twin: the real weights of a file against noise in a file of the same tensors, instead of the table.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/gguf.h"
#include "hardware/bandwidth.h"
#include "hardware/detect.h"
#include "model/blocks.h"
#include "model/catalogue.h"
#include "model/measure.h"
#include "model/pace_rounds.h"
#include "model/synthetic_file.h"
#include "model/traffic.h"
#include "stats/quantile.h"
#include "system/system.h"

namespace {

using namespace velollm;

struct Case {
    const char* model;
    const char* mix;
};
constexpr Case kCases[] = {
    {"smollm2:135m", "Q8_0"}, {"smollm2:360m", "F16"},   {"qwen2.5:0.5b", "Q4_K_M"}, {"qwen3:0.6b", "Q8_0"},
    {"llama3.2:1b", "Q4_0"},  {"llama3.2:1b", "Q4_K_M"}, {"gemma3:1b", "Q4_0"},      {"granite3.1-moe:1b", "Q4_K_M"},
    {"qwen2.5:1.5b", "Q4_0"}, {"tinyllama", "Q4_K_M"},
};

struct Options {
    std::vector<int> threads{1, 2};
    int rounds = 5;
    std::string only;
    std::string twin;
    bool raw = false;  ///< every round too
};

/// Errors of one kind, in %.
struct Errors {
    std::vector<double> sizes;

    void add(double error) { sizes.push_back(std::abs(error)); }
    double at(double share) const {
        std::vector<double> sorted = sizes;
        std::sort(sorted.begin(), sorted.end());
        return sorted.empty()
                   ? 0
                   : sorted[static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size()))) - 1];
    }
};

struct Summary {
    Errors decode, prefill, dense_prefill, again, formula;
    int covered = 0;
    int intervals = 0;
    double widest = 0;

    void interval(const model::PaceEstimate& estimate, double truth) {
        ++intervals;
        covered += truth >= estimate.tps.low && truth <= estimate.tps.high ? 1 : 0;
        widest = std::max(widest, estimate.half_width());
    }
};

/// Odd rounds against even ones: what the machine itself differs by.
double again(const std::vector<double>& seconds) {
    std::vector<double> halves[2];
    for (std::size_t i = 0; i < seconds.size(); ++i) halves[i % 2].push_back(seconds[i]);
    if (halves[1].empty()) return 0;
    return 100 * (stats::median_of(halves[0]) / stats::median_of(halves[1]) - 1);
}

double bytes_of(const model::ModelShape& shape) {
    return static_cast<double>(model::decode_traffic(shape, 0, 1, 1).total_bytes());
}

struct Timed {
    std::vector<model::ModelShape> parts;  ///< small, large, whole
    std::vector<model::FilePaces> paces;
};

Result<Timed> time_parts(const model::ModelShape& shape, const model::MeasurePlan& plan, int threads, int rounds) {
    Timed timed;
    std::vector<model::SyntheticFile> files;
    std::vector<std::filesystem::path> paths;
    for (const auto& blocks : plan.files) timed.parts.push_back(model::with_blocks(shape, blocks));
    timed.parts.push_back(shape);
    for (const model::ModelShape& part : timed.parts) {
        auto file = model::SyntheticFile::write(part, system::cache_folder(system::this_system()), {});
        if (!file) return file.error();
        files.push_back(std::move(*file));
        paths.push_back(files.back().path());
    }
    auto paces = model::time_in_rounds(paths, {.threads = threads, .prefill_tokens = plan.prefill_tokens},
                                       {.rounds = rounds, .most_tries = 5}, {}, {});
    if (!paces) return paces.error();
    timed.paces = std::move(*paces);
    return timed;
}

std::int64_t last_level_cache(const Hardware& hardware) {
    std::int64_t bytes = 0;
    for (const Cache& cache : hardware.cpu.caches)
        if (cache.level == 3) bytes += cache.size_bytes * cache.instances;
    return bytes;
}

void print_rounds(const Timed& timed) {
    for (std::size_t i = 0; i < timed.parts.size(); ++i) {
        fmt::print("    {:>3} blocks, {:>5.0f} MB a token, ms a token:", timed.parts[i].blocks.size(),
                   bytes_of(timed.parts[i]) / 1e6);
        for (const double seconds : timed.paces[i].decode) fmt::print(" {:.2f}", 1e3 * seconds);
        fmt::print("; prefill:");
        for (const double seconds : timed.paces[i].prefill) fmt::print(" {:.2f}", 1e3 * seconds);
        fmt::print("\n");
    }
}

void run_case(const Case& one, int threads, const Options& options, const Hardware& hardware, double gbps,
              Summary& sum) {
    const auto shape = model::named_shape(one.model, one.mix);
    if (!shape) return fmt::print("{} {}: {}\n", one.model, one.mix, shape.error().message);
    // No time at all: two files, however small the model.
    const auto plan = model::plan_measurement(*shape, 0,
                                              {.memory_bytes = hardware.memory.available_bytes,
                                               .disk_bytes = std::int64_t{1} << 40,
                                               .cache_bytes = last_level_cache(hardware),
                                               .seconds = 0});
    if (!plan || plan->whole()) return fmt::print("{} {}: no plan\n", one.model, one.mix);
    const auto timed = time_parts(*shape, *plan, threads, options.rounds);
    if (!timed) return fmt::print("{} {}: {}\n", one.model, one.mix, timed.error().message);
    const auto point = [&](std::size_t i, bool decode) {
        return model::PacePoint{decode ? bytes_of(timed->parts[i]) : static_cast<double>(timed->parts[i].blocks.size()),
                                decode ? timed->paces[i].decode : timed->paces[i].prefill};
    };
    const model::PaceEstimate decode = model::estimate_at(bytes_of(*shape), point(0, true), point(1, true));
    const model::PaceEstimate prefill =
        model::estimate_at(static_cast<double>(shape->blocks.size()), point(0, false), point(1, false));
    const double true_decode = 1 / stats::median_of(timed->paces[2].decode);
    const double true_prefill = 1 / stats::median_of(timed->paces[2].prefill);
    const double decode_error = 100 * (decode.tps.likely / true_decode - 1);
    const double prefill_error = 100 * (prefill.tps.likely / true_prefill - 1);
    const double same = again(timed->paces[2].decode);
    const double formula = 100 * (0.6 * gbps * 1e9 / bytes_of(*shape) / true_decode - 1);
    fmt::print(
        "{:<18}{:<7}{:>2} {:>3},{:>2} of{:>3} {:>7.1f} [{:>6.1f},{:>6.1f}] {:>+6.1f} {:>+6.1f} {:>+6.1f}  {:>7.1f} "
        "[{:>6.1f},{:>6.1f}] {:>+6.1f}\n",
        one.model, one.mix, threads, timed->parts[0].blocks.size(), timed->parts[1].blocks.size(), shape->blocks.size(),
        true_decode, decode.tps.low, decode.tps.high, decode_error, same, formula, true_prefill, prefill.tps.low,
        prefill.tps.high, prefill_error);
    if (options.raw) print_rounds(*timed);
    std::fflush(stdout);
    sum.decode.add(decode_error);
    sum.prefill.add(prefill_error);
    if (shape->experts == 0) sum.dense_prefill.add(prefill_error);
    sum.again.add(same);
    sum.formula.add(formula);
    sum.interval(decode, true_decode);
    sum.interval(prefill, true_prefill);
}

/// A real file, and noise in its shape, in turn.
int run_twin(const Options& options) {
    const auto file = gguf::read_model_file(options.twin);
    if (!file) return fmt::print("{}\n", file.error().message), 1;
    const auto shape = model::shape_of(file->header);
    if (!shape) return fmt::print("{}\n", shape.error().message), 1;
    auto twin = model::SyntheticFile::write(*shape, system::cache_folder(system::this_system()), {});
    if (!twin) return fmt::print("{}\n", twin.error().message), 1;
    for (const int threads : options.threads) {
        const auto paces = model::time_in_rounds({options.twin, twin->path()}, {.threads = threads},
                                                 {.rounds = options.rounds, .most_tries = 5}, {}, {});
        if (!paces) return fmt::print("{}\n", paces.error().message), 1;
        const auto ratio = [&](const std::vector<double>& real, const std::vector<double>& noise) {
            return 100 * (stats::median_of(real) / stats::median_of(noise) - 1);
        };
        fmt::print(
            "{} threads: decode real {:.1f}, noise {:.1f} tok/s ({:+.1f} %); prefill real {:.1f}, noise {:.1f} "
            "({:+.1f} %)\n",
            threads, 1 / stats::median_of(paces->at(0).decode), 1 / stats::median_of(paces->at(1).decode),
            ratio(paces->at(0).decode, paces->at(1).decode), 1 / stats::median_of(paces->at(0).prefill),
            1 / stats::median_of(paces->at(1).prefill), ratio(paces->at(0).prefill, paces->at(1).prefill));
    }
    return 0;
}

Options options_of(int count, char** words) {
    Options options;
    for (int i = 1; i + 1 < count; i += 2) {
        const std::string_view name = words[i];
        const std::string value = words[i + 1];
        if (name == "--rounds") options.rounds = std::atoi(value.c_str());
        if (name == "--only") options.only = value;
        if (name == "--twin") options.twin = value;
        if (name == "--raw") options.raw = value == "1";
        if (name != "--threads") continue;
        options.threads.clear();
        std::stringstream list(value);
        for (std::string number; std::getline(list, number, ',');) options.threads.push_back(std::atoi(number.c_str()));
    }
    return options;
}

}  // namespace

int main(int count, char** words) {
    const Options options = options_of(count, words);
    if (!options.twin.empty()) return run_twin(options);
    const system::System system = system::this_system();
    const hardware::KernelAnswers kernel = hardware::ask_kernel();
    const Hardware hardware = hardware::detect_this_machine(system);
    const BandwidthProbe probe = hardware::run_probes(system, kernel, hardware).bandwidth;
    fmt::print("{}; read bandwidth {}\n{} rounds; speeds in tok/s, errors in %\n", hardware.cpu.model,
               probe.valid ? fmt::format("{:.1f} GB/s, one thread {:.1f}", *probe.read_gbps, *probe.read_gbps_1t)
                           : probe.reason,
               options.rounds);
    fmt::print("{:<18}{:<7}{:>2} {:>12}  {:>6} {:>16} {:>6} {:>6} {:>6}  {:>7} {:>16} {:>6}\n", "model", "mix", "t",
               "blocks", "decode", "80 % interval", "error", "A/A", "0.6 BW", "prefill", "80 % interval", "error");
    for (const int threads : options.threads) {
        Summary sum;
        const double gbps = !probe.valid ? 0 : threads == 1 ? *probe.read_gbps_1t : *probe.read_gbps;
        for (const Case& one : kCases)
            if (options.only.empty() || options.only == one.model) run_case(one, threads, options, hardware, gbps, sum);
        fmt::print(
            "{} thread(s): decode error median {:.1f}, 80th percentile {:.1f}; A/A median {:.1f}; 0.6 x bandwidth "
            "{:.1f}; prefill "
            "median {:.1f}, 80th {:.1f} (dense: {:.1f}, {:.1f}); truth inside {} of {}, widest +-{:.0f} %\n",
            threads, sum.decode.at(0.5), sum.decode.at(0.8), sum.again.at(0.5), sum.formula.at(0.5),
            sum.prefill.at(0.5), sum.prefill.at(0.8), sum.dense_prefill.at(0.5), sum.dense_prefill.at(0.8), sum.covered,
            sum.intervals, 100 * sum.widest);
    }
    return 0;
}
