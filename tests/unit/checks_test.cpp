// The checks on the machine, on this program and on the series of requests: each code appears at its threshold and not
// below it.

#include <gtest/gtest.h>

#include "metrics/figures.h"
#include "metrics/request.h"
#include "metrics/summarize.h"
#include "metrics/table.h"
#include "support/records.h"

namespace velollm::metrics {
namespace checks_test {

using namespace std::chrono_literals;
using test::good_request;
using test::run_of;

const Finding* find(const Summary& summary, std::string_view code) {
    for (const Finding& finding : summary.findings)
        if (finding.code == code) return &finding;
    return nullptr;
}

Run usual_run(std::size_t requests = 3) {
    return run_of(std::vector<RequestRecord>(requests, good_request(20, 100ms, 10ms)));
}

/// The level of `code` for a run beside which the machine did `host`; nothing when it isn't found.
std::optional<Level> host_level(const HostReport& host, std::string_view code) {
    auto run = usual_run();
    run.host = host;
    const Summary summary = summarize(run, {});
    const Finding* finding = find(summary, code);
    return finding == nullptr ? std::nullopt : std::optional(finding->level);
}

TEST(HostChecks, EachCodeAppearsAtItsThreshold) {
    EXPECT_EQ(host_level({.steal_share = 0.009}, "vm_steal"), std::nullopt);
    EXPECT_EQ(host_level({.steal_share = 0.02}, "vm_steal"), Level::kSuspect);
    EXPECT_EQ(host_level({.swapped_in_pages = 0}, "swap"), std::nullopt);
    EXPECT_EQ(host_level({.swapped_in_pages = 1}, "swap"), Level::kInvalid);
    EXPECT_EQ(host_level({.engine_major_faults = 5}, "paging_weights"), Level::kSuspect);
    EXPECT_EQ(host_level({.throttle_events = 1}, "throttled_thermal"), Level::kSuspect);
    EXPECT_EQ(host_level({.gpus = {{.slowed_share = 0.0}, {}}}, "throttled_thermal"), std::nullopt);
    EXPECT_EQ(host_level({.gpus = {{}, {.slowed_share = 0.1}}}, "throttled_thermal"), Level::kSuspect);
    EXPECT_EQ(host_level({.clock_first_mhz = 4000, .clock_last_mhz = 3900}, "clock_drift"), std::nullopt);
    EXPECT_EQ(host_level({.clock_first_mhz = 4000, .clock_last_mhz = 3800}, "clock_drift"), Level::kSuspect);
    EXPECT_EQ(host_level({.span = 10s, .quota_throttled = 50ms}, "quota_throttled"), std::nullopt);
    EXPECT_EQ(host_level({.span = 10s, .quota_throttled = 2s}, "quota_throttled"), Level::kSuspect);
}

TEST(HostChecks, SwappingMakesTheRunInvalid) {
    auto run = usual_run();
    run.host = HostReport{.swapped_in_pages = 3};
    EXPECT_EQ(summarize(run, {}).verdict, Verdict::kInvalid);
}

TEST(HostChecks, AHiccupCountsByTheShareOfWhatItFellInto) {
    auto run = usual_run(1);  // TTFT 100 ms, then 190 ms of decoding
    run.host = HostReport{};
    run.host->hiccups.longest = {{.at = 200ms, .late = 15ms}};
    EXPECT_EQ(find(summarize(run, {}), "host_hiccup"), nullptr) << "15 of 190 ms";
    run.host->hiccups.longest = {{.at = 50ms, .late = 15ms}};
    EXPECT_NE(find(summarize(run, {}), "host_hiccup"), nullptr) << "15 of 100 ms";
    run.host->hiccups.longest = {{.at = 5s, .late = 4s}};
    EXPECT_EQ(find(summarize(run, {}), "host_hiccup"), nullptr) << "after the last request";
}

TEST(HostChecks, LateNapsMakeTheTailsOfTheGapsUncertain) {
    const auto with = [](std::int64_t naps, Ns p99, Ns gap) {
        auto run = run_of(std::vector<RequestRecord>(3, good_request(20, 100ms, gap)));
        run.host = HostReport{};
        run.host->hiccups = {.naps = naps, .nap = 1ms, .p99 = p99, .max = p99};
        const Summary summary = summarize(run, {});
        const Finding* finding = find(summary, "host_hiccup");
        return finding == nullptr ? std::nullopt : std::optional(finding->level);
    };
    EXPECT_EQ(with(100, 990us, 10ms), std::nullopt);
    EXPECT_EQ(with(100, 1100us, 10ms), Level::kNote);
    EXPECT_EQ(with(99, 1100us, 10ms), std::nullopt) << "so few have no p99";
    EXPECT_EQ(with(100, 1900us, 40ms), std::nullopt) << "a twentieth of a gap is little";
    EXPECT_EQ(with(100, 2100us, 40ms), Level::kNote);
}

TEST(HostChecks, LateReadsAreThisProgramsWhereTheMachineIsInTime) {
    const auto with = [](std::int64_t samples, Ns lag, Ns naps_late) {
        auto run = usual_run();  // gaps of 10 ms
        run.host = HostReport{};
        run.host->hiccups = {.naps = 100, .nap = 1ms, .p99 = naps_late, .max = naps_late};
        run.client.reads = ReadHealth{.reads = samples, .lag = ReadLag{.samples = samples, .p99 = lag, .max = lag}};
        const Summary summary = summarize(run, {});
        const Finding* finding = find(summary, "client_saturated");
        return finding == nullptr ? std::nullopt : std::optional(finding->level);
    };
    EXPECT_EQ(with(100, 990us, 0us), std::nullopt);
    EXPECT_EQ(with(100, 1100us, 0us), Level::kSuspect);
    EXPECT_EQ(with(99, 1100us, 0us), std::nullopt) << "so few have no p99";
    EXPECT_EQ(with(100, 1100us, 1100us), std::nullopt) << "then it is the machine, which is said too";
}

TEST(HostChecks, AMachineThatWasBusyBeforeIsNamed) {
    const auto with_idle = [](double busy, double waiting) {
        return summarize(usual_run(), {.quiet = HostReport{.busy_share = busy, .memory_pressure = waiting}});
    };
    EXPECT_EQ(find(with_idle(0.05, 0.0), "background_load"), nullptr);
    EXPECT_NE(find(with_idle(0.30, 0.0), "background_load"), nullptr);
    EXPECT_NE(find(with_idle(0.05, 0.20), "background_load"), nullptr);
}

TEST(HostChecks, PowerAndThisProgramsOwnShare) {
    EXPECT_EQ(find(summarize(usual_run(), {.on_battery = true}), "on_battery")->level, Level::kNote);
    EXPECT_EQ(find(summarize(usual_run(), {.powersave = true}), "powersave")->level, Level::kSuspect);
    auto run = usual_run();
    run.client.cpu_share = 0.5;
    EXPECT_EQ(find(summarize(run, {}), "client_saturated"), nullptr);
    run.client.cpu_share = 0.9;
    EXPECT_EQ(summarize(run, {}).verdict, Verdict::kInvalid);
}

TEST(SeriesChecks, ATrendOfAFewRequestsIsNamedWithItsSlope) {
    velollm::Run run;
    for (int i = 0; i < 8; ++i) run.requests.push_back(good_request(21, 100ms, 10ms + i * 100us));
    const Summary summary = summarize(run, {});
    ASSERT_NE(find(summary, "not_steady"), nullptr);
    EXPECT_EQ(find(summary, "not_steady")->level, Level::kSuspect);
    EXPECT_EQ(find(summarize(usual_run(8), {}), "not_steady"), nullptr);
}

TEST(SeriesChecks, AChangeInALongRunIsNamed) {
    const auto steps = [](Ns later) {
        velollm::Run run;
        for (int i = 0; i < 40; ++i)
            run.requests.push_back(good_request(21, 100ms, (i < 20 ? 10ms : later) + i % 3 * 1us));
        return summarize(run, {});
    };
    EXPECT_NE(find(steps(11ms), "not_steady"), nullptr);
    EXPECT_EQ(find(steps(10'100us), "not_steady"), nullptr) << "one percent doesn't matter";
}

TEST(SeriesChecks, AWarmUpThatDidNotSettleIsNamed) {
    EXPECT_NE(find(summarize(usual_run(), {.warm_up_steady = false}), "not_steady"), nullptr);
}

TEST(SeriesChecks, LateSendingCountsInAnOpenLoopOnly) {
    auto run = usual_run();
    for (RequestRecord& r : run.requests) r.sent = r.scheduled + 10ms;
    EXPECT_EQ(find(summarize(run, {}), "send_lag"), nullptr) << "a closed loop has no schedule to be late for";
    run.closed_loop = false;
    EXPECT_EQ(find(summarize(run, {}), "send_lag")->level, Level::kSuspect);
    for (RequestRecord& r : run.requests) r.sent = r.scheduled + 30ms;
    EXPECT_EQ(find(summarize(run, {}), "send_lag")->level, Level::kInvalid);
    run.cap_reached = 1;
    EXPECT_EQ(find(summarize(run, {}), "cap_reached")->level, Level::kNote);
}

TEST(SeriesChecks, DelaysOfFortyMillisecondsAreTcps) {
    RequestRecord r = good_request(40, 100ms, 10ms);
    Ns late{0};
    for (std::size_t i = 0; i < r.events.size(); ++i) {
        if (i > 0 && i % 5 == 0) late += 30ms;
        r.events[i].at += late;
    }
    r.done = r.events.back().at;
    EXPECT_NE(find(summarize(run_of({r}), {}), "nagle_suspected"), nullptr);
    EXPECT_EQ(find(summarize(run_of({good_request(40, 100ms, 40ms)}), {}), "nagle_suspected"), nullptr);
}

TEST(SeriesChecks, TimesThatCannotBeEndTheRunsWorth) {
    RequestRecord r = good_request(10, 100ms, 10ms);
    r.events[3].at = 50ms;
    EXPECT_EQ(summarize(run_of({r}), {}).verdict, Verdict::kInvalid);
    RequestRecord early = good_request(10, 100ms, 10ms);
    early.events.front().at = -1ms;
    EXPECT_NE(find(summarize(run_of({early}), {}), "internal_error"), nullptr);
}

/// Four tokens at once, every 40 ms.
RequestRecord bursts() {
    RequestRecord r = good_request(41, 100ms, 0ms);
    for (std::size_t i = 0; i < r.events.size(); ++i) {
        r.events[i].at = 100ms + static_cast<std::int64_t>((i + 3) / 4) * 40ms + static_cast<std::int64_t>(i) * 1us;
        r.events[i].tokens = 1;
    }
    r.done = r.events.back().at;
    r.server.eval.reset();
    return r;
}

TEST(Speculation, BurstsAreStepsAndSaidToBe) {
    const RequestRecord r = bursts();
    EXPECT_EQ(count_steps(r), 11u);
    const Summary summary = summarize(run_of({r}), {});
    EXPECT_NE(find(summary, "bursts"), nullptr);
    EXPECT_EQ(summary.find("tokens_per_step")->median, 4.0);
    EXPECT_NEAR(summary.find("step_gap_ms")->median, 40.0, 0.01);
    EXPECT_LT(summary.find("icl_ms")->median, 0.01);
    EXPECT_EQ(summarize(usual_run(), {}).find("tokens_per_step")->median, 1.0);
    EXPECT_EQ(find(summarize(usual_run(), {}), "bursts"), nullptr);
}

double figure(const Summary& summary, std::string_view key) {
    for (const RunFigure& f : summary.figures)
        if (f.key == key) return f.value;
    return -1.0;
}

TEST(Figures, AreRatiosOfSumsAndNotMeansOfRatios) {
    // 100 tokens in 1 s and 100 in 4 s: 40 tok/s, where the mean of 100 and 25 is 62.5.
    const auto run = run_of({good_request(101, 100ms, 10ms), good_request(101, 100ms, 40ms)});
    EXPECT_NEAR(figure(summarize(run, {}), "decode_total_tps"), 40.0, 1e-9);
}

TEST(Figures, AcceptanceIsWeightedByWhatWasDrafted) {
    auto run = usual_run(2);
    run.requests[0].server.draft_tokens = 100;
    run.requests[0].server.accepted_tokens = 90;
    run.requests[1].server.draft_tokens = 10;
    run.requests[1].server.accepted_tokens = 0;
    EXPECT_NEAR(figure(summarize(run, {}), "draft_acceptance"), 90.0 / 110.0, 1e-12);
    EXPECT_EQ(figure(summarize(usual_run(), {}), "draft_acceptance"), -1.0);
}

std::optional<Interval> interval_of(const Summary& summary, std::string_view key) {
    for (const RunFigure& f : summary.figures)
        if (f.key == key) return f.interval;
    return std::nullopt;
}

TEST(Figures, RatiosCarryIntervalsFromSixRequestsOn) {
    const auto drafting = [](std::size_t requests) {
        auto run = usual_run(requests);
        for (RequestRecord& request : run.requests) {
            request.server.draft_tokens = 10;
            request.server.accepted_tokens = &request == &run.requests.back() ? 0 : 6;
        }
        return summarize(run, {});
    };
    // Shares of 0.6 five times and 0: mean 0.5, standard error sqrt(0.06 / 6) = 0.1, t of 5 degrees of freedom 2.5706.
    const auto interval = interval_of(drafting(6), "draft_acceptance");
    ASSERT_TRUE(interval);
    EXPECT_NEAR(interval->lower, 0.5 - 0.25706, 1e-5);
    EXPECT_NEAR(interval->upper, 0.5 + 0.25706, 1e-5);
    EXPECT_FALSE(interval_of(drafting(5), "draft_acceptance"));
    ASSERT_TRUE(interval_of(drafting(6), "decode_total_tps"));
    EXPECT_NEAR(interval_of(drafting(6), "decode_total_tps")->upper, 100.0, 1e-6);  // all took the same time
    EXPECT_FALSE(interval_of(drafting(5), "decode_total_tps"));
}

TEST(Figures, NoShareIsAboveOneOrBelowZero) {
    auto run = usual_run(6);
    for (RequestRecord& request : run.requests) {
        request.server.draft_tokens = 10;
        request.server.accepted_tokens = &request == &run.requests.front() ? 1 : 10;
    }
    EXPECT_EQ(interval_of(summarize(run, {}), "draft_acceptance")->upper, 1.0);
}

TEST(Figures, FailuresCarryTheirInterval) {
    auto run = usual_run(10);
    run.requests[4].outcome = Outcome::kError;
    const Summary summary = summarize(run, {});
    EXPECT_NEAR(figure(summary, "failed_share"), 0.1, 1e-12);
    for (const RunFigure& f : summary.figures) {
        if (f.key == "failed_share") {
            EXPECT_NEAR(f.interval->upper, 0.44502, 1e-5);
        }
    }
}

TEST(Percentiles, ArePrintedOnlyAsDeepAsTheSampleAllows) {
    EXPECT_TRUE(summarize(usual_run(28), {}).find("ttft_ms")->percentiles.empty());
    const Summary with_p90 = summarize(usual_run(30), {});
    const auto& percentiles = with_p90.find("ttft_ms")->percentiles;
    ASSERT_EQ(percentiles.size(), 1u);
    EXPECT_EQ(percentiles[0].p, 0.9);
    EXPECT_TRUE(percentiles[0].lower);
    EXPECT_FALSE(percentiles[0].upper) << "30 values don't bound a p90 from above";
    EXPECT_EQ(summarize(usual_run(298), {}).find("ttft_ms")->percentiles.back().p, 0.95);
    EXPECT_EQ(summarize(usual_run(299), {}).find("ttft_ms")->percentiles.back().p, 0.99);
}

TEST(Codes, EachOneThatIsEverGivenHasItsRow) {
    auto run = usual_run(8);
    run.closed_loop = false;
    run.cap_reached = 1;
    run.client.cpu_share = 0.9;
    run.host = HostReport{.span = 1s,
                          .others_share = 0.5,
                          .steal_share = 0.5,
                          .swapped_in_pages = 1,
                          .engine_major_faults = 1,
                          .throttle_events = 1,
                          .quota_throttled = 1s,
                          .clock_first_mhz = 2,
                          .clock_last_mhz = 1};
    run.requests.push_back(bursts());
    for (RequestRecord& r : run.requests) r.sent = r.scheduled + 1s;
    const Summary summary = summarize(run, {.warm_up_steady = false, .on_battery = true, .powersave = true});
    EXPECT_GE(summary.findings.size(), 12u);
    for (const Finding& finding : summary.findings) {
        bool known = false;
        for (const Code& row : code_table()) known = known || row.code == finding.code;
        EXPECT_TRUE(known) << finding.code;
    }
}

}  // namespace checks_test
}  // namespace velollm::metrics
