#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/text.h"
#include "compare/compare.h"
#include "report/compare_report.h"
#include "support/approve.h"
#include "support/compare_sides.h"

namespace velollm::report {
namespace compare_report_test {

using compare::Side;
using test::Identity;
using test::measured;
using test::metric;
using test::side;

/// `n` values around `centre`, spread over +- `share` in an order without a trend.
std::vector<double> around(double centre, double share, std::size_t n, std::size_t stride = 7) {
    std::vector<double> values;
    for (std::size_t i = 0; i < n; ++i) {
        const double step = n < 2 ? 0.0 : static_cast<double>(i * stride % n) / static_cast<double>(n - 1);
        values.push_back(centre * (1.0 + share * (2.0 * step - 1.0)));
    }
    return values;
}

/// `stride` orders the values, so that two runs have noise of their own.
serde::MeasuredWorkload run(const std::string& name, double decode, double ttft, double spread, std::size_t n,
                            std::size_t stride, bool paired, const Identity& changed = {}) {
    const double e2e = ttft + 50'000.0 / decode;
    return measured(name,
                    {metric("decode_tps", around(decode, spread, n, stride), true, paired),
                     metric("ttft_ms", around(ttft, spread / 2.0, n, stride), false, paired),
                     metric("e2e_ms", around(e2e, spread, n, stride), false, paired)},
                    changed);
}

/// Each verdict once, in pairs, and a benchmark of the baseline alone.
compare::Comparison two_sides() {
    const Identity before = {{"settings", "flash_attention=1 num_thread=4"}};
    const Identity after = {{"settings", "flash_attention=1 num_thread=8"}};
    const Side baseline = side("baseline.json", {run("short_completion", 92.1, 127.1, 0.01, 10, 7, true, before),
                                                 run("medium_completion", 85.0, 145.0, 0.01, 10, 7, true, before),
                                                 run("code_generation", 81.0, 152.0, 0.05, 10, 7, true, before),
                                                 run("long_context", 40.0, 900.0, 0.01, 10, 7, true, before)});
    const Side other = side("optimized.json", {run("short_completion", 97.9, 127.2, 0.01, 10, 3, true, after),
                                               run("medium_completion", 86.2, 160.0, 0.01, 10, 3, true, after),
                                               run("code_generation", 82.0, 152.0, 0.05, 10, 3, true, after)});
    auto comparison = compare::compare(baseline, {other}, {});
    EXPECT_TRUE(comparison) << comparison.error().message << comparison.error().hint;
    return *comparison;
}

/// Six sides with long names: apart, of few values, one value, unlike and forced, slower.
compare::Comparison six_sides() {
    const std::string folder = "results of 2026/rtx-4090 at home, second slot/";
    const auto named = [&](const std::string& name, double decode, std::size_t n, const Identity& changed) {
        return side(folder + name + ".json",
                    {run("short_completion", decode, 120.0 + decode / 10.0, 0.01, n, 1, false, changed),
                     run("a benchmark with a name that leaves hardly any room in a line of a terminal, and goes on",
                         decode, 120.0 + decode / 10.0, 0.01, n, 1, false, changed)});
    };
    const std::vector<Side> others = {named("flash attention on", 101.0, 10, {{"settings", "flash_attention=1"}}),
                                      named("three runs", 101.0, 3, {}), named("once", 92.0, 1, {}),
                                      named("context 8192", 91.9, 12, {{"context_tokens", "8192"}}),
                                      named("power saving", 45.0, 10, {{"engine_version", "0.31.0"}})};
    auto comparison = compare::compare(named("baseline", 92.1, 10, {}), others, {.rule = {}, .force = true});
    EXPECT_TRUE(comparison) << comparison.error().message << comparison.error().hint;
    return *comparison;
}

TEST(CompareReport, ForPeople) {
    test::approve(comparison_text(two_sides(), false), "comparison.txt");
    test::approve(comparison_text(six_sides(), false), "comparison-six.txt");
}

TEST(CompareReport, ForPrograms) {
    test::approve(comparison_json(two_sides(), 2), "comparison.json");
    test::approve(comparison_csv(two_sides()), "comparison.csv");
}

TEST(CompareReport, ForPullRequests) {
    test::approve(comparison_markdown(two_sides()), "comparison.md");
    test::approve(comparison_markdown(six_sides()), "comparison-six.md");
}

TEST(CompareReport, FitsATerminal) {
    for (const std::string& text :
         {comparison_text(two_sides(), true), comparison_text(six_sides(), false), comparison_text(six_sides(), true)})
        for (const std::string_view line : base::split(text, '\n')) EXPECT_LE(line.size(), 100U) << line;
}

/// The text of one comparison of `a` with `b`.
std::string text_of(const serde::MeasuredWorkload& a, const serde::MeasuredWorkload& b) {
    const auto comparison = compare::compare(side("a", {a}), {side("b", {b})}, {});
    EXPECT_TRUE(comparison);
    return comparison ? comparison_text(*comparison, false) : "";
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

TEST(CompareReport, SameIsShownWithTheIntervalThatMakesItSo) {
    // Six pairs have one at 90 %, and none at the 97.5 % that two measures at once take.
    const std::vector<double> tens(6, 10.0);
    const std::vector<double> near = {10.01, 9.99, 10.02, 9.98, 10.03, 9.97};
    const auto with = [&](const std::vector<double>& times) {
        return measured("w", {metric("decode_tps", tens, true, true), metric("ttft_ms", times, false, true),
                              metric("e2e_ms", times, false, true)});
    };
    const std::string text = text_of(with(tens), with(near));
    EXPECT_TRUE(has(text, "  SAME     TTFT within 2 %: 0.0 % [-0.2, +0.2] 9")) << text;
    const auto comparison = compare::compare(side("a", {with(tens)}), {side("b", {with(near)})}, {});
    EXPECT_TRUE(has(comparison_markdown(*comparison), "| TTFT | 10.0 ms | 10.0 ms | 0.0 % | ["))
        << comparison_markdown(*comparison);
}

TEST(CompareReport, AmountsStandInTheOrderOfTheSides) {
    serde::MeasuredMetric mean = metric("ttft_ms", {}, false, false);
    mean.centre = 10.0;
    const auto samples = measured("w", {metric("ttft_ms", std::vector<double>(8, 10.0), false, false)});
    EXPECT_TRUE(has(text_of(samples, measured("w", {mean})), "8 values and a summary"));
    EXPECT_TRUE(has(text_of(measured("w", {mean}), samples), "a summary and 8 values"));
}

TEST(CompareReport, RemarksBeginWithAWordAndSayWhatWasDrawn) {
    const auto pairs = [](std::vector<double> values) {
        return measured("w", {metric("decode_tps", std::move(values), true, true)});
    };
    const std::string five = text_of(pairs({100, 90, 80, 70, 60}), pairs({105, 94.5, 84, 73.5, 63}));
    EXPECT_TRUE(has(five, "measured in turn, in pairs\n")) << five;
    EXPECT_TRUE(has(five,
                    "  UNCLEAR  decode +5.0 %  5 pairs  (80.0 -> 84.0 tok/s)\n"
                    "           5 pairs; an interval takes 6; 100.0 90.0 80.0 70.0 60.0 against 105.0 94.5"))
        << five;
    const std::string many = text_of(pairs(around(100, 0.01, 3000)), pairs(around(110, 0.01, 3000)));
    EXPECT_TRUE(has(many, "1000 pairs, p < 0.001")) << many;
    EXPECT_TRUE(has(many, "\n           drawn at random from 3000 pairs\n")) << many;
    const auto apart = [](std::size_t n) {
        return measured("w", {metric("decode_tps", around(100, 0.01, n), true, false)});
    };
    EXPECT_TRUE(has(text_of(apart(10), apart(3000)), "; drawn at random from 10 and 3000 values\n"));
    EXPECT_FALSE(has(text_of(apart(10), apart(12)), "drawn"));
}

TEST(CompareReport, NothingBreaksATable) {
    const Side a = side("a|b, \"c\".json", {run("w|w", 100, 10, 0.01, 8, 1, false)});
    const auto comparison = compare::compare(a, {a}, {});
    ASSERT_TRUE(comparison);
    const std::string markdown = comparison_markdown(*comparison);
    EXPECT_NE(markdown.find("| w\\|w |"), std::string::npos) << markdown;
    EXPECT_NE(comparison_csv(*comparison).find("\"a|b, \"\"c\"\".json\""), std::string::npos);
}

}  // namespace compare_report_test
}  // namespace velollm::report
