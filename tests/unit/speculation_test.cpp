#include "backend/speculation.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "backend/options.h"
#include "backend/prompt_lookup.h"
#include "backend/set_option.h"
#include "backend/started_ollama.h"
#include "report/speculation_text.h"

namespace velollm::backend {
namespace speculation_test {

using Tokens = std::vector<std::int32_t>;

TEST(PromptLookup, FindsNothingInNothing) {
    EXPECT_EQ(draft_by_lookup(Tokens{}, 4), Tokens{});
    EXPECT_EQ(draft_by_lookup(Tokens{1}, 4), Tokens{});
    EXPECT_EQ(draft_by_lookup(Tokens{1, 2, 3}, 4), Tokens{});
}

TEST(PromptLookup, DraftsWhatFollowedTheSameTokens) {
    EXPECT_EQ(draft_by_lookup(Tokens{1, 2, 3, 4, 5, 9, 1, 2, 3}, 2), (Tokens{4, 5}));
    EXPECT_EQ(draft_by_lookup(Tokens{1, 2, 3, 4, 5, 9, 1, 2, 3}, 0), Tokens{});
}

TEST(PromptLookup, WantsThreeTokensThatAgree) {
    EXPECT_EQ(draft_by_lookup(Tokens{1, 2, 3, 4, 8, 9, 2, 3}, 2), Tokens{});
    EXPECT_EQ(draft_by_lookup(Tokens{1, 2, 3, 4, 1, 2, 4, 3}, 2), Tokens{});
}

TEST(PromptLookup, TakesTheLongestMatch) {
    // "2 3 4" stands twice before, the first time behind the 1 that stands before the end as well.
    EXPECT_EQ(draft_by_lookup(Tokens{1, 2, 3, 4, 50, 7, 2, 3, 4, 60, 1, 2, 3, 4}, 1), Tokens{50});
}

TEST(PromptLookup, TakesTheLatestOfEquals) {
    EXPECT_EQ(draft_by_lookup(Tokens{8, 2, 3, 4, 50, 7, 2, 3, 4, 60, 9, 2, 3, 4}, 1), Tokens{60});
}

TEST(PromptLookup, DraftsNoFurtherThanTheMatchIsLong) {
    EXPECT_EQ(draft_by_lookup(Tokens{1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3}, 8), (Tokens{4, 5, 6}));
    EXPECT_EQ(draft_by_lookup(Tokens{1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4}, 8), (Tokens{5, 6, 7, 8}));
}

TEST(PromptLookup, GoesOnWithItselfAtTheEndOfTheText) {
    // The match ends two tokens before the text does, and is five long.
    EXPECT_EQ(draft_by_lookup(Tokens{1, 2, 1, 2, 1, 2, 1}, 9), (Tokens{2, 1, 2, 1, 2}));
}

TEST(PromptLookup, ExpectsARepeatedTokenAgain) {
    EXPECT_EQ(draft_by_lookup(Tokens{7, 7, 7, 7}, 9), (Tokens{7, 7, 7}));
    EXPECT_EQ(draft_by_lookup(Tokens{7, 7, 7}, 9), Tokens{});
}

TEST(PromptLookup, CountsNoMatchAsLongerThanTheLongest) {
    constexpr std::int32_t kLong = 70;
    constexpr std::int32_t kLongest = 64;
    const auto text = [](std::int32_t second) {
        Tokens out;
        for (std::int32_t i = 0; i < kLong; ++i) out.push_back(i);
        out.push_back(1000);  // behind 70 tokens that agree with the end
        for (std::int32_t i = kLong - second; i < kLong; ++i) out.push_back(i);
        out.push_back(2000);
        for (std::int32_t i = 0; i < kLong; ++i) out.push_back(i);
        return out;
    };
    EXPECT_EQ(draft_by_lookup(text(kLongest), 1), Tokens{2000});
    EXPECT_EQ(draft_by_lookup(text(kLongest - 1), 1), Tokens{1000});
}

std::string words_of(const EngineOptions& options, const std::string& draft_file = "") {
    const auto words = llama_speculation_words(options, draft_file);
    return words ? fmt::format("{}", fmt::join(*words, " ")) : "error: " + words.error().message;
}

EngineOptions asked(const std::string& name, std::optional<int> tokens = std::nullopt) {
    EngineOptions options;
    options.speculation = name;
    options.draft_tokens = tokens;
    return options;
}

TEST(LlamaServerSpeculation, IsLeftToTheServerUnlessAskedFor) {
    EXPECT_EQ(words_of({}), "");
    EXPECT_EQ(words_of(asked("off")), "--spec-type none");
    EXPECT_EQ(words_of(asked("ngram")), "--spec-type ngram-mod");
    EXPECT_EQ(words_of(asked("ngram-map-k")), "--spec-type ngram-map-k");
    EXPECT_EQ(words_of(asked("whatever-comes-next")), "--spec-type whatever-comes-next");
}

TEST(LlamaServerSpeculation, TakesADraftModel) {
    EXPECT_EQ(words_of({}, "d.gguf"), "-md d.gguf --spec-type draft-simple");
    EXPECT_EQ(words_of(asked("draft-eagle3"), "d.gguf"), "-md d.gguf --spec-type draft-eagle3");
    EXPECT_EQ(words_of(asked("off"), "d.gguf"), "--spec-type none");
}

TEST(LlamaServerSpeculation, TellsEveryKindHowManyTokens) {
    EXPECT_EQ(words_of(asked("draft-mtp", 5)), "--spec-type draft-mtp --spec-draft-n-max 5");
    EXPECT_EQ(words_of(asked("ngram-simple", 12)), "--spec-type ngram-simple --spec-ngram-simple-size-m 12");
    EXPECT_EQ(words_of(asked("ngram-simple", 11)),
              "--spec-type ngram-simple --spec-ngram-simple-size-m 11 --spec-ngram-simple-size-n 11");
    EXPECT_EQ(words_of(asked("ngram-map-k4v", 5)), "--spec-type ngram-map-k4v --spec-ngram-map-k4v-size-m 5");
    EXPECT_EQ(words_of(asked("ngram", 64)),
              "--spec-type ngram-mod --spec-ngram-mod-n-max 64 --spec-ngram-mod-n-min 48");
    EXPECT_EQ(words_of(asked("ngram", 1)), "--spec-type ngram-mod --spec-ngram-mod-n-max 1 --spec-ngram-mod-n-min 1");
    EXPECT_EQ(words_of(asked("draft-simple,draft-mtp,ngram-map-k", 5), "d.gguf"),
              "-md d.gguf --spec-type draft-simple,draft-mtp,ngram-map-k --spec-draft-n-max 5 "
              "--spec-ngram-map-k-size-m 5");
}

TEST(LlamaServerSpeculation, RefusesANumberThatNothingTakes) {
    EXPECT_EQ(words_of(asked("ngram-cache", 5)), "error: --draft-tokens can't be set for ngram-cache");
    EXPECT_EQ(words_of(asked("", 5)), "error: --draft-tokens goes with speculative decoding");
    EXPECT_EQ(words_of(asked("off", 5), "d.gguf"), "error: --draft-tokens goes with speculative decoding");
}

TEST(OllamaSpeculation, IsItsEnvironment) {
    using Variables = std::map<std::string, std::string>;
    EXPECT_EQ(*ollama_speculation_env({}, ""), Variables{});
    EXPECT_EQ(*ollama_speculation_env(asked("ngram"), ""), (Variables{{"LLAMA_ARG_SPEC_TYPE", "ngram-mod"}}));
    EXPECT_EQ(*ollama_speculation_env(asked("off"), ""), (Variables{{"LLAMA_ARG_SPEC_TYPE", "none"}}));
    EXPECT_EQ(*ollama_speculation_env(asked("draft-simple", 4), "/d"),
              (Variables{{"LLAMA_ARG_SPEC_TYPE", "draft-simple"},
                         {"LLAMA_ARG_SPEC_DRAFT_MODEL", "/d"},
                         {"LLAMA_ARG_SPEC_DRAFT_N_MAX", "4"}}));
    EXPECT_FALSE(ollama_speculation_env(asked("ngram", 4), ""));
    EXPECT_FALSE(ollama_speculation_env(asked("", 4), ""));
}

TEST(OllamaSpeculation, CameWithLlamaServer) {
    for (const char* version : {"0.30.0", "0.32.15", "0.30", "1.0.0"})
        EXPECT_TRUE(runs_llama_server(version)) << version;
    for (const char* version : {"0.24.0", "0.29.9", "0.3.14", "", "dev"})
        EXPECT_FALSE(runs_llama_server(version)) << version;
}

TEST(SpeculationInForce, IsReadFromCommandLineAndEnvironment) {
    EXPECT_FALSE(speculation_of({"ls", "-m", "m.gguf"}, {}));
    EXPECT_FALSE(speculation_of({"ls", "--spec-type", "none"}, {{"LLAMA_ARG_SPEC_TYPE", "ngram-mod"}}));
    const auto given = speculation_of(
        {"ls", "--spec-type", "none", "-md", "/a/d.gguf", "--spec-type", "draft-simple", "--spec-draft-n-max", "4"},
        {});
    ASSERT_TRUE(given);  // the last one wins
    EXPECT_EQ(given->type, "draft-simple");
    EXPECT_EQ(given->draft_model, "d.gguf");
    EXPECT_EQ(given->draft_tokens, 4);
    const auto inherited = speculation_of({"ls"}, {{"LLAMA_ARG_SPEC_TYPE", "ngram-mod"}});
    ASSERT_TRUE(inherited);
    EXPECT_EQ(inherited->type, "ngram-mod");
    EXPECT_FALSE(inherited->draft_tokens);
}

TEST(SpeculationSetting, CanBePartOfAComparison) {
    TargetSpec target;
    ASSERT_TRUE(set_option(target, "speculation=ngram"));
    ASSERT_TRUE(set_option(target, "draft_tokens=12"));
    EXPECT_EQ(target.options.speculation, "ngram");
    EXPECT_EQ(target.options.draft_tokens, 12);
    EXPECT_TRUE(takes_own_ollama(target));  // Ollama has no other way to learn of it
    TargetSpec running = target;
    running.url = "http://127.0.0.1:1";
    EXPECT_FALSE(takes_own_ollama(running));
    EXPECT_FALSE(set_option(target, "draft_tokens=0"));
    EXPECT_FALSE(set_option(target, "speculation="));
    TargetSpec embedded{.backend = "embedded"};
    ASSERT_TRUE(set_option(embedded, "speculation=off"));
    EXPECT_FALSE(takes_own_ollama(embedded));
}

TEST(SpeculationSetting, IsRefusedByServersThatRun) {
    TargetSpec target;
    EXPECT_TRUE(refuse_speculation(target));
    target.options.speculation = "ngram";
    EXPECT_NE(refuse_speculation(target).error().hint.find("LLAMA_ARG_SPEC_TYPE"), std::string::npos);
    target.backend = "llamacpp";
    EXPECT_NE(refuse_speculation(target).error().hint.find("--spec-type"), std::string::npos);
}

BenchmarkResult drafted(std::int64_t accepted, std::int64_t of) {
    BenchmarkResult result;
    result.run.requests.resize(1);
    result.run.requests[0].server.draft_tokens = of;
    result.summary.samples = {0};
    result.summary.figures = {
        {"draft_acceptance", static_cast<double>(accepted) / static_cast<double>(of), Interval{0.5, 0.75, 0.95}}};
    return result;
}

TEST(SpeculationReport, SaysWhatWasKept) {
    TargetInfo target;
    EXPECT_EQ(report::speculation_line(target, {}), "");
    target.kind = "embedded";
    target.speculation = Speculation{"ngram", "", 8};
    EXPECT_EQ(report::speculation_line(target, drafted(60, 100)),
              "  Speculation: ngram, at most 8 tokens a step; 60% of 100 drafted tokens kept (50 .. 75%)\n");
    EXPECT_EQ(report::why_no_acceptance(target, drafted(60, 100)), "");
    EXPECT_EQ(report::why_no_acceptance(target, {}), "nothing was drafted");
    target.kind = "ollama";
    target.speculation = Speculation{"draft-simple", "d.gguf", {}};
    EXPECT_EQ(
        report::speculation_line(target, {}),
        "  Speculation: draft-simple with d.gguf; share of drafts kept: none (Ollama doesn't tell how many tokens "
        "were drafted and kept)\n");
}

TEST(SpeculationReport, WritesWhatDrafts) {
    TargetInfo target;
    const auto text = [&] {
        base::JsonWriter json;
        report::write_speculation(json, target);
        return json.text();
    };
    EXPECT_EQ(text(), "null");
    target.speculation = Speculation{"draft-simple", "d.gguf", 3};
    EXPECT_EQ(text(), R"({"type":"draft-simple","draft_model":"d.gguf","draft_tokens":3})");
    target.speculation = Speculation{"ngram-mod", "", {}};
    EXPECT_EQ(text(), R"({"type":"ngram-mod","draft_model":null,"draft_tokens":null})");
}

}  // namespace speculation_test
}  // namespace velollm::backend
