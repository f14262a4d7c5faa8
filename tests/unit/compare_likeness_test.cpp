#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "compare/compare.h"
#include "support/compare_sides.h"

namespace velollm::compare {
namespace compare_likeness_test {

using test::Identity;
using test::measured;
using test::metric;
using test::side;

serde::MeasuredWorkload workload(const std::string& name, const Identity& changed = {}, double value = 100.0) {
    return measured(name, {metric("decode_tps", std::vector<double>(8, value), true, false)}, changed);
}

Result<Comparison> against(const Identity& from, const Identity& to, const Question& question = {}) {
    return compare(side("a.json", {workload("w", from)}), {side("b.json", {workload("w", to)})}, question);
}

std::string refusal(const Result<Comparison>& comparison) {
    return comparison ? "" : comparison.error().message + "\n" + comparison.error().hint;
}

TEST(CompareLikeness, EachDifferenceThatForbidsIsNamedWithBothValues) {
    const struct {
        const char* key;
        const char* from;
        const char* to;
        const char* line;
    } rows[] = {{"context_tokens", "4096", "8192", "context: 4096 against 8192  (w)"},
                {"model", "llama3.2:3b", "llama3.1:8b", "model: llama3.2:3b against llama3.1:8b"},
                {"quantization", "Q4_K_M", "Q8_0", "quantization: Q4_K_M against Q8_0"},
                {"engine", "ollama", "embedded", "engine: ollama against embedded"},
                {"concurrency", "1", "4", "concurrency: 1 against 4"},
                {"context_depth", "0", "1024", "depth: 0 against 1024"},
                {"output_tokens", "50", "200", "output tokens: 50 against 200"},
                {"prompt_tokens", "100", "103", "prompt tokens: 100 against 103"},
                {"workload", "k1", "k2", "workload: k1 against k2"},
                {"hardware", "a box", "another box", "hardware: a box against another box"},
                {"digest", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                 "aaaaaaaaaaaaaaaa0123456789abcdef0123456789abcdef0123456789abcdef",
                 "weights: 0123456789ab against aaaaaaaaaaaa"}};
    for (const auto& row : rows) {
        SCOPED_TRACE(row.key);
        const auto refused = against({{row.key, row.from}}, {{row.key, row.to}});
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, ErrorCode::kFailed);
        EXPECT_NE(refusal(refused).find("b.json was not measured as a.json was"), std::string::npos)
            << refusal(refused);
        EXPECT_NE(refusal(refused).find(row.line), std::string::npos) << refusal(refused);
        EXPECT_NE(refusal(refused).find(std::string("--vary ") + row.key), std::string::npos);
        EXPECT_NE(refusal(refused).find("--force"), std::string::npos);

        const auto forced = against({{row.key, row.from}}, {{row.key, row.to}}, {.rule = {}, .force = true});
        ASSERT_TRUE(forced);
        EXPECT_EQ(forced->candidates[0].differences.at(0).difference.weight, Weight::kRefuses);
        const auto declared = against({{row.key, row.from}}, {{row.key, row.to}}, {.rule = {}, .varied = {row.key}});
        ASSERT_TRUE(declared) << refusal(declared);
        EXPECT_EQ(declared->candidates[0].differences.at(0).difference.weight, Weight::kDeclared);
        EXPECT_FALSE(against({{row.key, row.from}}, {{row.key, row.to}}, {.rule = {}, .varied = {"settings"}}));
    }
}

TEST(CompareLikeness, SettingsAndVersionsMayDifferAndAreShown) {
    const auto both = against({{"engine_version", "0.31.0"}, {"settings", "num_thread=4"}},
                              {{"engine_version", "0.32.0"}, {"settings", "num_thread=8"}});
    ASSERT_TRUE(both);
    ASSERT_EQ(both->candidates[0].differences.size(), 2U);
    EXPECT_EQ(both->candidates[0].differences[0].difference,
              (Difference{"engine_version", "0.31.0", "0.32.0", Weight::kShown}));
}

TEST(CompareLikeness, AContextThatASettingAskedForIsOneOfThem) {
    const auto set = against({{"context_tokens", "4096"}, {"settings", "num_thread=4"}},
                             {{"context_tokens", "8192"}, {"settings", "num_ctx=8192 num_thread=4"}});
    ASSERT_TRUE(set) << refusal(set);
    EXPECT_EQ(set->candidates[0].differences[0].difference.key, "context_tokens");
    EXPECT_FALSE(against({{"context_tokens", "4096"}, {"settings", "num_thread=4"}},
                         {{"context_tokens", "8192"}, {"settings", "num_thread=8"}}));
    EXPECT_FALSE(against({{"context_tokens", "4096"}, {"settings", "num_ctx=8192"}},
                         {{"context_tokens", "8192"}, {"settings", "num_ctx=8192 num_thread=4"}}));
    // A setting that asked for another context than either has made no difference.
    EXPECT_FALSE(against({{"context_tokens", "2048"}}, {{"context_tokens", "131072"}, {"settings", "num_ctx=512"}}));
}

TEST(CompareLikeness, CountsMayDifferALittle) {
    EXPECT_TRUE(against({{"prompt_tokens", "12"}}, {{"prompt_tokens", "14"}}));
    EXPECT_FALSE(against({{"prompt_tokens", "12"}}, {{"prompt_tokens", "15"}}));
    EXPECT_TRUE(against({{"prompt_tokens", "1000"}}, {{"prompt_tokens", "1020"}}));
    EXPECT_FALSE(against({{"prompt_tokens", "1000"}}, {{"prompt_tokens", "1021"}}));
    EXPECT_TRUE(against({{"output_tokens", "100"}}, {{"output_tokens", "80"}}));
    EXPECT_FALSE(against({{"output_tokens", "100"}}, {{"output_tokens", "74"}}));
}

TEST(CompareLikeness, OneFileUnderTwoNamesIsOneModel) {
    EXPECT_TRUE(against({{"digest", "d1"}, {"model", "smollm2:135m"}}, {{"digest", "d1"}, {"model", "smollm2.gguf"}}));
    // Weights in another quantisation have another digest.
    EXPECT_TRUE(against({{"digest", "d1"}, {"quantization", "Q4_0"}}, {{"digest", "d2"}, {"quantization", "Q8_0"}},
                        {.rule = {}, .varied = {"quantization"}}));
    EXPECT_FALSE(against({{"digest", "d1"}}, {{"digest", "d2"}}, {.rule = {}, .varied = {"quantization"}}));
    EXPECT_TRUE(against({{"digest", "d1"}}, {{"digest", "d2"}}, {.rule = {}, .varied = {"model"}}));
}

TEST(CompareLikeness, HardwareIsNamedByItsProcessors) {
    const auto refused = against({{"machine", "CPU one"}}, {{"machine", "CPU two"}, {"hardware", "another"}});
    EXPECT_NE(refusal(refused).find("hardware: CPU one against CPU two"), std::string::npos) << refusal(refused);
    EXPECT_TRUE(against({{"machine", "CPU one"}}, {{"machine", "CPU two"}}));  // the key of the hardware says more
    EXPECT_FALSE(against({{"hardware", ""}}, {{"hardware", ""}, {"machine", "CPU two"}}));
}

TEST(CompareLikeness, WhatOneSideDoesNotTellIsNoDifferenceAndIsSaid) {
    const auto both = against({{"context_tokens", ""}, {"quantization", ""}}, {});
    ASSERT_TRUE(both);
    EXPECT_EQ(both->candidates[0].unknown, (std::vector<std::string>{"quantization", "context_tokens"}));
}

TEST(CompareLikeness, DepthAndConcurrencyOfOtherToolsAreNotGuessed) {
    const auto of_tool = [](const char* tool, const Identity& changed = {}) {
        const serde::MeasuredFile file{.tool = tool, .workloads = {workload("w", changed)}, .notes = {}};
        return *make_side(tool, {}, {file});
    };
    const auto foreign = compare(of_tool("velollm"), {of_tool("vllm")}, {});
    ASSERT_TRUE(foreign);
    EXPECT_EQ(foreign->candidates[0].unknown, (std::vector<std::string>{"context_depth", "concurrency"}));
    EXPECT_FALSE(foreign->identity.at("concurrency").empty());
    EXPECT_EQ(trait(of_tool("vllm").benchmarks[0].measured, "concurrency"), "");
    EXPECT_TRUE(compare(of_tool("vllm"), {of_tool("aiperf")}, {})->candidates[0].unknown.empty());
    // What a tool does tell counts.
    EXPECT_FALSE(compare(of_tool("velollm"), {of_tool("vllm", {{"concurrency", "8"}})}, {}));
    EXPECT_TRUE(
        compare(of_tool("velollm"), {of_tool("velollm", {{"concurrency", "1"}})}, {})->candidates[0].unknown.empty());
}

TEST(CompareLikeness, ATableThatNamesTheKindOfModelIsOfThatModel) {
    const Identity json = {{"model", "a.gguf"}, {"model_type", "llama 1B Q4_K"}, {"backend", "CPU"}};
    const Identity table = {{"model", "llama 1B Q4_K"},
                            {"model_type", "llama 1B Q4_K"},
                            {"backend", "CPU"},
                            {"hardware", ""},
                            {"machine", ""}};
    const auto alike = against(json, table);
    ASSERT_TRUE(alike) << refusal(alike);
    EXPECT_EQ(alike->candidates[0].differences[0].difference.weight, Weight::kShown);
    EXPECT_FALSE(against({{"model", "a.gguf"}, {"model_type", "llama 1B Q4_K"}},
                         {{"model", "b.gguf"}, {"model_type", "llama 1B Q4_K"}}));
    EXPECT_FALSE(against(json, {{"model", "llama 8B Q4_K"}, {"model_type", "llama 8B Q4_K"}}));
    EXPECT_NE(
        refusal(against(table, {{"model", "llama 1B Q4_K"}, {"backend", "CUDA"}})).find("backend: CPU against CUDA"),
        std::string::npos);
    EXPECT_TRUE(against({{"backend", "CPU"}}, {{"backend", "CUDA"}}, {.rule = {}, .varied = {"hardware"}}));
}

TEST(CompareLikeness, ARunThatIsWorthNothingIsRefused) {
    for (const char* status : {"invalid", "failed"}) {
        serde::MeasuredWorkload bad = workload("w");
        bad.status = status;
        const auto refused = compare(side("a", {workload("w")}), {side("b", {bad})}, {});
        EXPECT_NE(refusal(refused).find(std::string("status: ok against ") + status), std::string::npos);
        EXPECT_EQ(refusal(refused).find("--vary"), std::string::npos) << refusal(refused);
        EXPECT_FALSE(compare(side("a", {bad}), {side("b", {bad})}, {}));
        EXPECT_TRUE(compare(side("a", {workload("w")}), {side("b", {bad})}, {.rule = {}, .force = true}));
    }
    serde::MeasuredWorkload part = workload("w");
    part.status = "partial";
    const auto both = compare(side("a", {workload("w")}), {side("b", {part})}, {});
    ASSERT_TRUE(both);
    EXPECT_EQ(both->candidates[0].differences.at(0).difference,
              (Difference{"status", "ok", "partial", Weight::kShown}));
}

TEST(CompareLikeness, EnginesMeasuredInTurnAreWhatIsCompared) {
    serde::MeasuredWorkload a = workload("w", {{"engine", "embedded"}});
    serde::MeasuredWorkload b = workload("w", {{"engine", "llamacpp"}});
    a.run_id = b.run_id = "one run";
    const auto both = compare(side("a", {a}), {side("b", {b})}, {});
    ASSERT_TRUE(both) << refusal(both);
    EXPECT_EQ(both->candidates[0].differences[0].difference.weight, Weight::kDeclared);
}

TEST(CompareLikeness, NamesOfDifferencesAreRead) {
    const auto read = read_varied("context, version,hardware,output_tokens");
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, (std::set<std::string>{"context_tokens", "engine_version", "hardware", "output_tokens"}));
    const auto unknown = read_varied("contxt");
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, ErrorCode::kUsage);
    EXPECT_NE(unknown.error().hint.find("context"), std::string::npos);
}

TEST(CompareMatching, GoesByTheKeyOfTheWorkloadBeforeTheName) {
    const Side a = side("a", {workload("one", {{"workload", "k1"}}), workload("two", {{"workload", "k2"}}, 50)});
    const Side b = side("b", {workload("other name", {{"workload", "k2"}}, 50), workload("one", {{"workload", "k1"}})});
    const Matches matches = match(a, b, false);
    ASSERT_EQ(matches.both.size(), 2U);
    EXPECT_EQ(matches.both[1].baseline->measured.name, "two");
    EXPECT_EQ(matches.both[1].other->measured.name, "other name");
}

TEST(CompareMatching, DepthConcurrencyAndLengthTellBenchmarksOfOneNameApart) {
    const auto with = [](const char* key, const char* value) { return workload("w", {{key, value}}); };
    const Side a = side("a", {workload("w"), with("context_depth", "1024"), with("concurrency", "8")});
    const Side b = side("b", {with("concurrency", "8"), with("context_depth", "1024"), workload("w")});
    const Matches matches = match(a, b, false);
    ASSERT_EQ(matches.both.size(), 3U);
    for (const Match& one : matches.both)
        for (const char* key : {"context_depth", "concurrency"})
            EXPECT_EQ(trait(one.baseline->measured, key), trait(one.other->measured, key));
    const Matches fewer = match(a, side("c", {with("concurrency", "2"), with("context_depth", "1024")}), false);
    EXPECT_EQ(fewer.both.size(), 1U);  // which of the two left is meant can't be known
    EXPECT_EQ(fewer.only_in_baseline.size(), 2U);
}

TEST(CompareMatching, TheLastOnesAreMatchedOnlyWhereThatIsDeclared) {
    const Side a = side("a", {workload("one")});
    const Side b = side("b", {workload("two")});
    const auto refused = compare(a, {b}, {});
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("no benchmark in common"), std::string::npos);
    EXPECT_NE(refused.error().hint.find("a: one\nb: two"), std::string::npos);
    EXPECT_NE(refused.error().hint.find("--vary workload"), std::string::npos);
    EXPECT_TRUE(compare(a, {b}, {.rule = {}, .varied = {"workload"}}));
    // Who has declared it already isn't told to.
    const auto open =
        compare(side("a", {workload("one"), workload("three")}), {b}, {.rule = {}, .varied = {"workload"}});
    ASSERT_FALSE(open);
    EXPECT_EQ(open.error().hint, "a: one, three\nb: two\nWhich is meant can't be known: FILE@name=NAME takes one");
}

TEST(CompareSide, RunsThatWereMeasuredAlikeAreOne) {
    serde::MeasuredWorkload late = workload("w", {{"prompt_tokens", "13"}}, 90);
    late.when = "2026-02-02T10:00:00Z";
    serde::MeasuredWorkload early = workload("w", {{"prompt_tokens", "12"}}, 100);
    early.when = "2026-01-02T10:00:00Z";
    const Side pooled = side("a", {late, early});
    ASSERT_EQ(pooled.benchmarks.size(), 1U);
    EXPECT_EQ(pooled.benchmarks[0].runs, 2U);
    const std::vector<double>& samples = pooled.benchmarks[0].measured.metrics.at(0).samples;
    ASSERT_EQ(samples.size(), 16U);
    EXPECT_EQ(samples.front(), 100);  // the earlier run first
    EXPECT_EQ(samples.back(), 90);
}

TEST(CompareSide, SummariesOfSeveralRunsAreTheirSamples) {
    std::vector<serde::MeasuredWorkload> runs;
    for (const double value : {80.0, 81.0, 82.0, 83.0}) {
        serde::MeasuredMetric mean = metric("tokens_per_second", {}, true, false);
        mean.centre = value;
        runs.push_back(measured("w", {mean}));
    }
    EXPECT_EQ(side("a", runs).benchmarks.at(0).measured.metrics.at(0).samples, (std::vector<double>{80, 81, 82, 83}));
}

TEST(CompareSide, OfUnlikeRunsOneMustBeNamed) {
    const serde::MeasuredFile file{
        .tool = "velollm", .workloads = {workload("w"), workload("w", {{"engine", "embedded"}})}, .notes = {}};
    const auto both = make_side("both.json", {}, {file});
    ASSERT_FALSE(both);
    EXPECT_EQ(both.error().message, "both.json has w more than once, measured with different engine");
    EXPECT_NE(both.error().hint.find("both.json@engine=ollama"), std::string::npos);
    const auto one = make_side("both.json@engine=embedded", {{"engine", "embedded"}}, {file});
    ASSERT_TRUE(one);
    EXPECT_EQ(trait(one->benchmarks.at(0).measured, "engine"), "embedded");
    const serde::MeasuredFile server{
        .tool = "velollm", .workloads = {workload("w", {{"engine", "llama-server"}})}, .notes = {}};
    EXPECT_TRUE(make_side("a.json", {{"engine", "llamacpp"}}, {server}));
    const auto slip = make_side("both.json@foo=bar", {{"foo", "bar"}}, {file});
    ASSERT_FALSE(slip);
    EXPECT_EQ(slip.error().code, ErrorCode::kUsage);
    EXPECT_EQ(slip.error().message, "both.json@foo=bar: no benchmark is told by foo");
    EXPECT_NE(slip.error().hint.find("Keys are name, run, workload, model, "), std::string::npos);
    const auto none = make_side("both.json", {{"engine", "vllm"}}, {file});
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().hint, "It has engine: embedded, ollama");
}

TEST(CompareSide, AHintTellsRunsApartByWhatBothTell) {
    const auto hint = [](const std::string& name, const Wanted& wanted, const Identity& one, const Identity& two) {
        const serde::MeasuredFile file{
            .tool = "velollm", .workloads = {workload("w", one), workload("w", two)}, .notes = {}};
        const auto both = make_side(name, wanted, {file});
        return both ? "" : both.error().hint;
    };
    // Behind a selection it is one more key.
    EXPECT_EQ(hint("b@engine=ollama", {{"engine", "ollama"}}, {{"engine_version", "1"}}, {{"engine_version", "2"}}),
              "Name one of them: b@engine=ollama,engine_version=1\n"
              "              or: b@engine=ollama,engine_version=2");
    EXPECT_EQ(hint("b", {}, {{"prompt_tokens", "10"}}, {{"prompt_tokens", "26"}}),
              "Name one of them: b@prompt_tokens=10\n              or: b@prompt_tokens=26");
    EXPECT_EQ(hint("b", {}, {{"settings", "a=1 b=2"}}, {{"settings", "a=2"}}),
              "Name one of them: 'b@settings=a=1 b=2'\n              or: b@settings=a=2");
    EXPECT_EQ(hint("standard input", {}, {{"model", "a"}}, {{"model", "b"}}),
              "Name one of them: -@model=a\n              or: -@model=b");
    // No selection can name what only one of them tells, or a value with a comma.
    EXPECT_NE(hint("b", {}, {{"engine", ""}}, {}).find("name single files instead"), std::string::npos);
    EXPECT_NE(hint("b", {}, {{"machine", "a, b"}}, {{"machine", "a, c"}}).find("name single files"), std::string::npos);
}

TEST(CompareSide, APartIsNamedBehindTheFile) {
    using Split = std::pair<std::string, Wanted>;
    EXPECT_EQ(split_selection("a.json"), (Split{"a.json", {}}));
    EXPECT_EQ(split_selection("a.json@engine=ollama"), (Split{"a.json", {{"engine", "ollama"}}}));
    EXPECT_EQ(split_selection("a.json@engine=ollama,name=w@1024"),
              (Split{"a.json", {{"engine", "ollama"}, {"name", "w@1024"}}}));
    EXPECT_EQ(split_selection("me@host.json"), (Split{"me@host.json", {}}));
    EXPECT_EQ(split_selection("me@host.json@name=w"), (Split{"me@host.json", {{"name", "w"}}}));
}

}  // namespace compare_likeness_test
}  // namespace velollm::compare
