#include <gtest/gtest.h>

#include <set>

#include "optimize/knobs_json.h"
#include "optimize/registry.h"

namespace velollm::optimize {
namespace {

TEST(Knobs, TheBuiltInRegistryIsRead) {
    const auto list = serde::read_knobs(knobs_json(), "knobs");
    ASSERT_TRUE(list) << list.error().message;
    EXPECT_GT(registry().knobs.size(), 80U);
    EXPECT_GT(registry().dead.size(), 40U);
    for (const Knob& knob : registry().knobs) {
        EXPECT_NE(knob.read_back.empty(), knob.unverifiable.empty()) << knob.name;
        EXPECT_FALSE(knob.source.empty()) << knob.name;
        const bool bounded = !knob.since.empty() && !knob.before.empty();
        EXPECT_TRUE(!bounded || version_less(knob.since, knob.before)) << knob.name;
    }
}

TEST(Knobs, NoTwoKnobsAnswerToOneNameInOneVersion) {
    for (const char* version : {"0.1.33", "0.9.6", "0.24.0", "0.30.0", "0.32.15", "0.5.0", ""}) {
        std::set<std::string> seen;
        for (const Knob& knob : registry().knobs) {
            if (!in_range(version, knob.since, knob.before)) continue;
            for (const std::string& channel : knob.channels) {
                EXPECT_TRUE(seen.insert(knob.engine + channel + knob.name).second) << knob.name << " in " << version;
                for (const std::string& alias : knob.aliases)
                    EXPECT_TRUE(seen.insert(knob.engine + channel + alias).second) << alias << " in " << version;
            }
        }
    }
}

TEST(Knobs, NoDeadNameIsAKnobInTheSameVersion) {
    for (const char* version : {"0.1.33", "0.9.6", "0.24.0", "0.30.0", "0.32.15", ""})
        for (const serde::DeadName& dead : registry().dead)
            for (const std::string& channel : dead.channels) {
                if (!in_range(version, dead.since, dead.before)) continue;
                EXPECT_EQ(find_knob(dead.engine, version, channel, dead.name), nullptr)
                    << dead.name << " in " << version;
            }
}

TEST(Knobs, VersionsCompareByNumbers) {
    EXPECT_TRUE(version_less("0.9.6", "0.30.0"));
    EXPECT_FALSE(version_less("0.30.0", "0.9.6"));
    EXPECT_FALSE(version_less("0.30.0-rc1", "0.30.0"));
    EXPECT_TRUE(version_less("0.24.0", "0.30"));
    EXPECT_TRUE(version_less("b4567", "0.5.0-dev"));
    EXPECT_TRUE(version_less("4567", "b10573"));
    EXPECT_FALSE(version_less("", "0.30.0"));
    EXPECT_TRUE(version_less("0.30.0", ""));
    EXPECT_TRUE(in_range("", "0.30.0", ""));
    EXPECT_FALSE(in_range("", "", "0.30.0"));
    EXPECT_FALSE(in_range("0.30.0", "", "0.30.0"));
}

TEST(Knobs, WhatAVersionReads) {
    EXPECT_TRUE(is_read("ollama", "0.32.15", "environment", "OLLAMA_CONTEXT_LENGTH"));
    EXPECT_TRUE(is_read("ollama", "0.32.15", "environment", "LLAMA_ARG_THREADS"));
    EXPECT_FALSE(is_read("ollama", "0.24.0", "environment", "LLAMA_ARG_THREADS"));
    EXPECT_TRUE(is_read("ollama", "0.24.0", "environment", "OLLAMA_GPU_OVERHEAD"));
    EXPECT_FALSE(is_read("ollama", "0.32.15", "environment", "OLLAMA_GPU_OVERHEAD"));
    EXPECT_TRUE(is_read("ollama", "0.32.15", "modelfile", "num_thread"));
    EXPECT_FALSE(is_read("ollama", "0.32.15", "environment", "num_thread"));
    EXPECT_TRUE(is_read("llama-server", "0.5.0", "flag", "-t"));
    EXPECT_TRUE(is_read("ollama", "0.32.15", "environment", "OLLAMA_HOST"));
}

TEST(Knobs, DeadAndMisspeltNamesHaveAWayOut) {
    for (const char* version : {"0.24.0", "0.32.15", ""})
        for (const char* name : {"OLLAMA_NUM_CTX", "OLLAMA_NUM_BATCH", "OLLAMA_NUM_GPU", "OLLAMA_NUM_THREAD"}) {
            const NameVerdict verdict = judge_name("ollama", version, "environment", name);
            EXPECT_EQ(verdict.use, NameUse::kDead) << name << " in " << version;
            EXPECT_FALSE(verdict.instead.empty()) << name;
        }
    EXPECT_EQ(judge_name("ollama", "0.32.15", "environment", "OLLAMA_NUM_THREAD").instead, "LLAMA_ARG_THREADS");
    EXPECT_EQ(judge_name("ollama", "0.24.0", "environment", "OLLAMA_NUM_THREAD").instead,
              "num_thread in a Modelfile or a request");
    EXPECT_EQ(judge_name("ollama", "0.32.15", "environment", "LLAMA_ARG_UBATCH").use, NameUse::kDead);
    const NameVerdict typo = judge_name("ollama", "0.32.15", "environment", "OLLAMA_NUM_PARALEL");
    EXPECT_EQ(typo.use, NameUse::kMisspelt);
    EXPECT_EQ(typo.instead, "OLLAMA_NUM_PARALLEL");
    EXPECT_EQ(judge_name("ollama", "0.32.15", "environment", "OLLAMA_SOMETHING_ELSE").use, NameUse::kUnknown);
    EXPECT_EQ(judge_name("ollama", "0.32.15", "environment", "PATH").use, NameUse::kUnknown);
}

TEST(Knobs, SecretsOfAnEnvironmentAreLeftOut) {
    EXPECT_TRUE(is_engine_variable("OLLAMA_NUM_PARALLEL"));
    EXPECT_TRUE(is_engine_variable("CUDA_VISIBLE_DEVICES"));
    EXPECT_FALSE(is_engine_variable("OLLAMA_API_KEY"));
    EXPECT_FALSE(is_engine_variable("LLAMA_ARG_API_KEY_FILE"));
    EXPECT_FALSE(is_engine_variable("OLLAMA_AUTH_TOKEN"));
    EXPECT_FALSE(is_engine_variable("HF_TOKEN"));
    EXPECT_FALSE(is_engine_variable("PATH"));
}

TEST(Knobs, ABrokenRegistryIsRefused) {
    const auto refuse = [](std::string_view text, std::string_view why) {
        const auto list = serde::read_knobs(text, "x");
        ASSERT_FALSE(list) << text;
        EXPECT_NE(list.error().message.find(why), std::string::npos) << list.error().message;
    };
    refuse("{", "no JSON");
    refuse(R"({"schema":"other"})", "schema");
    refuse(R"({"schema":"velollm.knobs/1.0","knobs":[{"nom":"x"}]})", "missing");
    refuse(R"({"schema":"velollm.knobs/1.0","more":1})", "unknown key \"more\"");
    refuse(
        R"({"schema":"velollm.knobs/1.0","knobs":[{"engine":"ollama","name":"x","setting":"x","channels":["flag"]}]})",
        "read_back");
    refuse(R"({"schema":"velollm.knobs/1.0","dead":[{"name":"x","reason":1}]})", "\"reason\" must be a text");
}

}  // namespace
}  // namespace velollm::optimize
