#include "cli/machine_rates.h"

#include <algorithm>
#include <utility>

#include "base/digest.h"
#include "hardware/bandwidth.h"
#include "hardware/detect.h"
#include "model/calibration_file.h"
#include "report/hardware_json.h"

namespace velollm::cli {
namespace {

/// The rate with so many threads, between what one and what all of them reach.
std::optional<double> with_threads(double one, double all, int threads_of_all, int threads) {
    if (all <= 0) return std::nullopt;
    if (threads >= threads_of_all || one <= 0) return all;
    return std::min(all, one * threads);
}

}  // namespace

std::string machine_key(const Hardware& hardware) {
    return base::sha256_hex(report::hardware_key_text(hardware));
}

void measure_rates(const system::System& system, const std::string& machine, const std::string& now, Hardware& hardware,
                   serde::Calibration& calibration) {
    hardware::Probes probes = hardware::run_probes(system, hardware::ask_kernel(), hardware);
    if (probes.bandwidth.valid)
        model::put_rates(calibration, {.when = now,
                                       .machine = machine,
                                       .threads = probes.bandwidth.threads,
                                       .read_gbps = probes.bandwidth.read_gbps.value_or(0),
                                       .read_gbps_1t = probes.bandwidth.read_gbps_1t.value_or(0),
                                       .fp32_gflops = probes.peak.fp32_gflops.value_or(0),
                                       .fp32_gflops_1t = probes.peak.fp32_gflops_1t.value_or(0)});
    hardware.memory.bandwidth = std::move(probes.bandwidth);
}

std::optional<double> read_gbps(const serde::MachineRates& rates, int threads) {
    return with_threads(rates.read_gbps_1t, rates.read_gbps, rates.threads, threads);
}

model::SpeedGrounds speed_grounds(const serde::Calibration& calibration, const std::string& machine,
                                  const std::string& engine, int threads, bool on_gpu, std::optional<double> gbps) {
    model::SpeedGrounds grounds{.calibration = calibration,
                                .machine = machine,
                                .engine = engine,
                                .threads = threads,
                                .on_gpu = on_gpu,
                                .read_gbps = gbps,
                                .fp32_gflops = std::nullopt};
    if (const auto* rates = model::rates_of(calibration, machine))
        grounds.fp32_gflops = with_threads(rates->fp32_gflops_1t, rates->fp32_gflops, rates->threads, threads);
    return grounds;
}

}  // namespace velollm::cli
