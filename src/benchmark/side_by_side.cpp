#include "benchmark/side_by_side.h"

#include <algorithm>
#include <numeric>

#include "hardware/telemetry.h"
#include "load/nonce.h"

namespace velollm::benchmark {
namespace {

constexpr Ns kNap = std::chrono::milliseconds(10);
/// Threads of an engine go on spinning for a while after its last token: the next one must not meet them.
constexpr Ns kPause = std::chrono::milliseconds(50);

std::vector<std::size_t> drawn_order(std::size_t n) {
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), 0U);
    for (std::size_t left = n; left > 1; --left) std::swap(order[left - 1], order[system::random_u64() % left]);
    return order;
}

/// All engines as one, so that none of them is taken for somebody else's work.
hardware::EnginePlace place_of_all(const std::vector<Session*>& sessions) {
    hardware::EnginePlace all;
    for (const Session* session : sessions) {
        const hardware::EnginePlace place = session->engine_place();
        all.processes.insert(all.processes.end(), place.processes.begin(), place.processes.end());
        all.in_this_process = all.in_this_process || place.in_this_process;
        if (all.cpu_group.empty()) all.cpu_group = place.cpu_group;
    }
    return all;
}

}  // namespace

std::vector<BenchmarkResult> measure_side_by_side(const std::vector<Session*>& sessions, const BenchmarkConfig& config,
                                                  const PromptFrame& frame, const system::System& system, Clock& clock,
                                                  const std::function<bool()>& stop, const OnTurn& on_turn) {
    const std::string timestamp = system::utc_timestamp(system::unix_now_ms() / 1000);
    load::NonceSource nonces(system::random_u64());
    std::vector<Run> runs(sessions.size());
    // One text for all, with words of the length that the first engine counts.
    const std::string text = sessions.front()->filled_prompt(config);
    hardware::HostWatch host(system, place_of_all(sessions), kNap);
    const TimePoint begin = clock.now();
    const auto ends = [&] {
        return (stop && stop()) || std::any_of(sessions.begin(), sessions.end(),
                                               [](const Session* one) { return one->lost().has_value(); });
    };
    for (std::int64_t round = 0; round < config.iterations && !ends(); ++round) {
        const std::string nonce = nonces.next();
        for (const std::size_t engine : drawn_order(sessions.size())) {
            if (ends()) break;
            system::nap(kPause);
            const TimePoint turn = clock.now();
            auto made = sessions[engine]->request({.text = frame.prefix + nonce + text + frame.suffix,
                                                   .max_tokens = config.max_tokens,
                                                   .seed = sessions[engine]->seed()});
            if (!made) break;
            RequestRecord& record = *made;
            record.nonce = nonce.substr(0, nonce.find('\n'));
            record.id = static_cast<RequestId>(round);
            record.scheduled += turn - begin;
            record.sent += turn - begin;
            if (on_turn) on_turn(static_cast<std::size_t>(round), engine, record);
            runs[engine].requests.push_back(std::move(record));
        }
    }
    const HostReport report = host.report();
    std::vector<BenchmarkResult> results;
    for (std::size_t i = 0; i < sessions.size(); ++i) {
        Run& run = runs[i];
        run.wall = clock.now() - begin;
        run.interrupted = static_cast<std::int64_t>(run.requests.size()) < config.iterations;
        run.host = report;
        run.client.peak_memory_bytes = system::peak_memory_bytes();
        results.push_back(sessions[i]->conclude(config, text, timestamp, std::move(run)));
    }
    return results;
}

}  // namespace velollm::benchmark
