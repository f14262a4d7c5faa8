// How long a summary takes, and how much memory beyond the records themselves.
//
//   summary_bench [REQUESTS] [EVENTS]
//
// Makes REQUESTS (1000000) records with EVENTS (8) token events each and sums them up three times.

#include <fmt/core.h>
#include <malloc.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>

#include "metrics/summarize.h"
#include "system/system.h"

namespace {

using namespace velollm;

Run made_up(std::size_t requests, int events) {
    std::mt19937_64 random(7);
    std::normal_distribution<double> noise(0.0, 1.0);
    Run run;
    run.requests.resize(requests);
    Ns sent{0};
    for (std::size_t i = 0; i < requests; ++i) {
        RequestRecord& r = run.requests[i];
        r.id = i;
        r.sent = r.scheduled = sent;
        r.first_byte = Ns(40'000'000 + static_cast<std::int64_t>(1e6 * noise(random)));
        Ns at = *r.first_byte + Ns(10'000'000);
        for (int k = 0; k < events; ++k) {
            r.events.push_back({.at = at, .tokens = 1});
            at += Ns(20'000'000 + static_cast<std::int64_t>(5e5 * noise(random)));
        }
        r.done = at;
        r.max_tokens = events;
        r.server.output_tokens = events;
        r.server.prompt_tokens = 100;
        r.server.cached_tokens = 0;
        r.server.prompt_eval = Ns(35'000'000);
        r.server.eval = Ns(20'000'000) * (events - 1);
        r.server.finish = FinishReason::kLength;
        sent += Ns(1'000'000);
    }
    run.wall = sent;
    return run;
}

/// Starts the kernel's count of the peak anew.
void forget_peak() {
    ::malloc_trim(0);
    std::ofstream("/proc/self/clear_refs") << "5";
}

double peak_mib() {
    std::ifstream in("/proc/self/status");
    for (std::string line; std::getline(in, line);)
        if (line.starts_with("VmHWM:")) return std::atof(line.c_str() + 6) / 1024.0;
    return 0.0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::size_t requests = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1'000'000;
    const int events = argc > 2 ? std::atoi(argv[2]) : 8;
    const Run run = made_up(requests, events);
    forget_peak();
    const double before = peak_mib();
    fmt::print("{} records with {} token events: {:.0f} MiB\n", requests, events, before);
    for (int i = 0; i < 3; ++i) {
        forget_peak();
        const auto begin = std::chrono::steady_clock::now();
        const Ns cpu = system::process_cpu_time();
        const Summary summary = metrics::summarize(run, {});
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        fmt::print(
            "summarize: {:.2f} s, {:.2f} s CPU, peak {:.0f} MiB beyond the records, {} samples, TTFT {:.2f} ms\n",
            seconds, to_seconds(system::process_cpu_time() - cpu), peak_mib() - before, summary.samples.size(),
            summary.find("ttft_ms")->median);
    }
}
