#include <gtest/gtest.h>

#include "benchmark/result.h"
#include "benchmark/suite.h"
#include "metrics/figures.h"
#include "metrics/summarize.h"
#include "metrics/table.h"
#include "report/console.h"
#include "report/keys.h"
#include "report/result_json.h"
#include "report/table.h"
#include "support/approve.h"
#include "support/records.h"

namespace velollm::report {
namespace report_test {

using test::good_request;
using test::run_of;
using namespace std::chrono_literals;

BenchmarkResult result_of(BenchmarkConfig config, Run run) {
    Summary summary = metrics::summarize(run, {});
    config.model = "llama3.2:3b";
    return benchmark::make_result(config, "2025-01-15T10:30:00Z", std::move(run), std::move(summary));
}

/// An iteration of the guide's example: `tokens` in `total`, the first after `ttft`.
RequestRecord iteration(std::int64_t tokens, Ns ttft, Ns total) {
    RequestRecord r = good_request(tokens, ttft, (total - ttft) / (tokens - 1));
    r.done = total;
    r.server.prompt_tokens = 12;
    return r;
}

std::vector<BenchmarkResult> example() {
    const std::vector<BenchmarkConfig> suite = benchmark::standard_suite();
    const auto run = [](std::int64_t tokens, Ns ttft, std::initializer_list<Ns> totals) {
        std::vector<RequestRecord> requests;
        for (const Ns total : totals) requests.push_back(iteration(tokens, ttft, total));
        return run_of(std::move(requests));
    };
    return {result_of(suite[0], run(50, 127300us, {612ms, 593ms, 596ms, 602ms, 599ms})),
            result_of(suite[1], run(150, 145600us, {1913ms, 1896ms, 1903ms})),
            result_of(suite[2], run(200, 152100us, {2621ms, 2596ms, 2605ms}))};
}

Context context() {
    Context c;
    c.target = {.kind = "ollama",
                .display_name = "Ollama",
                .version = "0.32.15",
                .address = "http://localhost:11434",
                .model = "llama3.2:3b",
                .family = "llama",
                .quantization = "Q4_K_M",
                .parameters = 3212749888};
    c.target.settings = {{"num_ctx", "4096"}};
    c.options.origin = {{"num_ctx", "OLLAMA_NUM_CTX"}};
    c.loaded = {.took = 2100ms, .was_resident = false, .bytes = 3000000000, .gpu_share = 1.0, .context_tokens = 4096};
    c.hardware.cpu.model = "Example CPU";
    c.hardware.os.name = "Debian GNU/Linux 12 (bookworm)";
    c.warm_up.resize(2);
    c.seed = 42;
    c.suite = benchmark::kStandardSuite;
    c.run_id = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
    c.started_at = "2025-01-15T10:30:00Z";
    c.tool_version = "0.1.0";
    return c;
}

std::string whole_console(const Console& console) {
    const Context c = context();
    std::string text = console.opening("ollama", "llama3.2:3b") + console.checking("Ollama") + console.available(true) +
                       console.engine(c) + console.running(3);
    const std::vector<BenchmarkResult> results = example();
    for (const BenchmarkResult& result : results) {
        text += console.begin(result.config);
        for (std::size_t i = 0; i < result.run.requests.size(); ++i)
            text += console.iteration(i, result.config.iterations, result.run.requests[i]);
        text += console.end(c, result);
    }
    return text + console.summary(results) + console.warnings(results, false) + console.tip();
}

TEST(Console, TheLayoutIsTheGuides) {
    test::approve(whole_console(Console({.unicode = true})), "benchmark.txt");
}

TEST(Console, TheGuidesOwnLinesStandInTheirOrderByteForByte) {
    // The guide's example, without the figures that depend on how its author rounded.
    const std::string text = whole_console(Console({.unicode = true}));
    std::size_t at = 0;
    for (const char* line :
         {"🚀 VeloLLM Benchmark Suite\n\nBackend: ollama\nModel: llama3.2:3b\n\nChecking Ollama availability... ✓\n",
          "\nRunning 3 benchmarks...\n\n═══════════════════════════════════════════════════════\n\n",
          "Running benchmark: short_completion (5 iterations)\n  Iteration 1/5... 81.7 tok/s (612ms)\n",
          "TTFT: 127.3ms\n", "\n\nRunning benchmark: medium_completion (3 iterations)\n",
          "Running benchmark: code_generation (3 iterations)\n",
          "\n\n═══════════════════════════════════════════════════════\n\n📊 Benchmark Summary\n\nshort_completion:\n"
          "  Tokens/s: ",
          "  TTFT: 127.3ms\n", "  Total tokens: 250\n  Total time: 3.0s\n\nmedium_completion:\n",
          "Overall Average:\n  Tokens/s: ", "\n\n💡 Tip: Use -o <file> to save results to JSON\n"}) {
        const std::size_t found = text.find(line, at);
        ASSERT_NE(found, std::string::npos) << line;
        at = found;
    }
}

TEST(Console, AsciiHasNoByteAbove127) {
    const std::string text = whole_console(Console({.unicode = false}));
    for (const char c : text) ASSERT_GE(static_cast<signed char>(c), 0);
    EXPECT_NE(text.find(std::string(55, '=') + "\n"), std::string::npos);
    EXPECT_NE(text.find("availability... ok\n"), std::string::npos);
}

TEST(Console, AFailedIterationGivesItsReason) {
    RequestRecord r;
    r.outcome = Outcome::kTruncated;
    r.error.message = "the stream ended without its final record";
    EXPECT_EQ(Console({}).iteration(1, 5, r), "  Iteration 2/5... failed: the stream ended without its final record\n");
}

TEST(Console, AnErrorHasOneHintALine) {
    EXPECT_EQ(Console({}).error({ErrorCode::kFailed, "It broke", "Mend it\nOr don't"}),
              "Error: It broke\n  Mend it\n  Or don't\n");
}

TEST(Result, OriginalKeysKeepTheirMeaning) {
    const BenchmarkResult r = example()[0];
    EXPECT_NEAR(r.tokens_per_second, (50 / 0.612 + 50 / 0.593 + 50 / 0.596 + 50 / 0.602 + 50 / 0.599) / 5, 1e-9);
    EXPECT_NEAR(r.time_to_first_token_ms, 127.3, 1e-9);
    EXPECT_NEAR(r.total_time_ms, 3002.0, 1e-9);
    EXPECT_EQ(r.total_tokens, 250);
    EXPECT_EQ(r.prompt_eval_count, 12);
    EXPECT_EQ(r.eval_count, 50);
}

TEST(Result, CountsThatTheServerLeavesOutAreNull) {
    RequestRecord r = iteration(10, 100ms, 200ms);
    r.server.output_tokens.reset();
    r.server.prompt_tokens.reset();
    const BenchmarkResult result = result_of({.name = "x"}, run_of({r}));
    EXPECT_EQ(result.eval_count, std::nullopt);
    EXPECT_EQ(result.prompt_eval_count, std::nullopt);
    EXPECT_EQ(result.total_tokens, 10);
}

TEST(ResultFile, IsTheApprovedOne) {
    const Context c = context();
    const std::vector<BenchmarkResult> results = example();
    std::vector<ReportedResult> reported;
    for (const BenchmarkResult& r : results) reported.emplace_back(&c, &r);
    test::approve(result_json(reported), "result.json");
    test::approve(result_csv(reported), "result.csv");
    test::approve(result_markdown(reported), "result.md");
}

TEST(ResultFile, SeriesFollowsTheSettingsAndNotTheVersion) {
    Context a = context();
    Context b = a;
    const BenchmarkResult r = example()[0];
    b.target.version = "0.33.0";
    EXPECT_EQ(keys_of(a, r).series, keys_of(b, r).series);
    b.target.settings["num_ctx"] = "8192";
    EXPECT_NE(keys_of(a, r).series, keys_of(b, r).series);
    EXPECT_EQ(keys_of(a, r).workload, keys_of(b, r).workload);
}

TEST(ResultFile, StatusTellsWhatTheResultIsWorth) {
    EXPECT_EQ(status_of(example()[0]), "ok");
    auto stopped = example()[0].run;
    stopped.interrupted = true;
    EXPECT_EQ(status_of(result_of({}, stopped)), "partial");
    RequestRecord failed;
    failed.outcome = Outcome::kError;
    EXPECT_EQ(status_of(result_of({}, run_of({failed}))), "failed");
    EXPECT_EQ(status_of(result_of({}, run_of({failed, good_request(9, 1ms, 1ms)}))), "invalid");
}

TEST(Csv, QuotesWhatNeedsQuoting) {
    Context c = context();
    BenchmarkResult r = example()[0];
    r.config.name = "a,\"b\"\n";
    EXPECT_NE(result_csv({{&c, &r}}).find("\r\n\"a,\"\"b\"\"\n\",llama3.2:3b,"), std::string::npos);
}

TEST(Docs, MetricsPageFollowsTheTables) {
    std::string page =
        "# Metrics and codes\n\nThis page is generated from `src/metrics/table.cpp` and `src/metrics/validity.cpp`; a "
        "test "
        "keeps it in step.\n\n"
        "Symbols, for one request: `t_send` just before its first byte is sent; `t_hdr` first byte of the answer; "
        "`t_1`, "
        "`t_i`, `t_L` first, i-th and last event that carries a token; `t_o` first event with visible text; `n` "
        "generated "
        "tokens as the engine counts them; `k_1`, `k_i` tokens in an event (taken as 1 where the engine doesn't say); "
        "`h` "
        "tokens at the end that no event carried, such as the end token; `N` prompt tokens, `N_c` those from a cache. "
        "All "
        "times come from one steady clock in the client, read as the bytes come in.\n\n"
        "Over the requests of a benchmark every metric is given as its median. From 6 samples on an interval goes with "
        "it "
        "that holds the true median with at least 95 %, whatever the distribution (order statistics); below, the "
        "extremes. "
        "p90, p95, p99 and p99.9 are given from 29, 59, 299 and 2995 values on, with 95 % bounds; a bound that the "
        "sample "
        "can't give is null. Values pooled over tokens are taken as dependent within a request. Outliers are counted "
        "(Tukey's fences) and never removed.\n\n## Metrics\n\n| key | name | unit | better | "
        "formula "
        "| note |\n|---|---|---|---|---|---|\n";
    for (const metrics::Metric& m : metrics::metric_table())
        page += "| `" + std::string(m.key) + "` | " + std::string(m.title) + " | " + std::string(m.unit) + " | " +
                (m.better == metrics::Better::kHigher ? "higher" : "lower") + " | `" + std::string(m.formula) + "` | " +
                std::string(m.note) + " |\n";
    page += "\nFigures of a whole run, where it allows them:\n\n| key | unit | formula | note |\n|---|---|---|---|\n";
    for (const metrics::FigureRow& row : metrics::figure_table())
        page += "| `" + std::string(row.key) + "` | " + std::string(row.unit) + " | `" + std::string(row.formula) +
                "` | " + std::string(row.note) + " |\n";
    page +=
        "\nThe original keys of the result file: `tokens_per_second` is generated tokens ÷ whole request time, prompt "
        "included, averaged over the iterations; `time_to_first_token_ms` is the mean of TTFT; `total_time_ms` and "
        "`total_tokens` are sums; `prompt_eval_count` and `eval_count` are means, rounded down.\n\n## Codes\n\n| code "
        "| "
        "level | meaning |\n|---|---|---|\n";
    for (const metrics::Code& code : metrics::code_table())
        page += "| `" + std::string(code.code) + "` | " + std::string(code.level) + " | " + std::string(code.meaning) +
                " |\n";
    page +=
        "\nA result is `ok`, `partial` (stopped before its end), `failed` (no valid sample) or `invalid` (not to be "
        "believed).\n";
    test::approve(page, std::string(VELOLLM_TESTS_DIR) + "/../docs/metrics.md");
}

}  // namespace report_test
}  // namespace velollm::report
