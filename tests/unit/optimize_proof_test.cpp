#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "optimize/observe.h"
#include "optimize/outputs.h"
#include "optimize/proof.h"
#include "optimize/registry.h"
#include "support/facts.h"

namespace velollm::optimize {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

ObservedProcess process_in(const json& object, int pid) {
    ObservedProcess process;
    process.pid = pid;
    process.words = object.at("words").get<std::vector<std::string>>();
    process.env = object.at("env").get<system::Environment>();
    process.env_known = true;
    return process;
}

struct Recorded {
    std::string name;
    Facts facts;
    std::vector<Expected> expected;
};

/// Real engines with every setting that can be set on a machine without a GPU: what they showed of them.
std::vector<Recorded> recordings() {
    std::vector<Recorded> out;
    for (const auto& entry : fs::directory_iterator(fs::path(VELOLLM_TESTS_DIR) / "traces/optimize")) {
        if (entry.path().extension() != ".json") continue;
        const json file = json::parse(system::read_file(entry.path()).value_or(""));
        Recorded one;
        one.name = entry.path().stem().string();
        Observed& seen = one.facts.observed;
        one.facts.engine = seen.engine = file.at("engine");
        one.facts.version = seen.version = file.at("version");
        one.facts.model = file.at("model");
        seen.answering = true;
        seen.log = file.at("log");
        seen.server = process_in(file.at("server"), 10);
        if (file.contains("worker")) seen.worker = process_in(file.at("worker"), 11);
        if (file.contains("ps"))
            seen.models = {{one.facts.model, file["ps"]["context"], file["ps"]["size"], file["ps"]["size_vram"]}};
        if (file.contains("props")) {
            seen.slot_context = file["props"]["n_ctx"].get<std::int64_t>();
            seen.slots = file["props"]["total_slots"].get<std::int64_t>();
        }
        for (const json& wanted : file.at("expected")) {
            const Knob* knob = find_knob(one.facts.engine, one.facts.version, wanted.at("channel").get<std::string>(),
                                         wanted.at("knob").get<std::string>());
            one.expected.push_back(
                {knob != nullptr ? knob->setting : "", wanted.at("value"), wanted.at("channel"), wanted.at("knob")});
        }
        one.facts.settings = settings_of(seen, one.facts.model, 0);
        out.push_back(std::move(one));
    }
    return out;
}

/// Of knobs that can be read back, those that no recording has, and why.
const std::map<std::string, std::string>& not_recorded() {
    static const std::map<std::string, std::string> reasons = {
        {"ollama request draft_num_predict 0.32.15", "only a model with a draft takes it"},
        {"ollama modelfile draft_num_predict 0.32.15", "only a model with a draft takes it"},
    };
    return reasons;
}

std::string key_of(const std::string& engine, const std::string& channel, const Knob& knob,
                   const std::string& version) {
    return engine + " " + channel + " " + knob.name + " " + version;
}

TEST(OptimizeProof, EveryKnobOfTheRegistryIsReadBackOrSaysWhyNot) {
    std::set<std::string> verified;
    for (const Recorded& one : recordings()) {
        const auto proofs = prove(one.expected, one.facts);
        for (std::size_t i = 0; i < proofs.size(); ++i) {
            const Expected& wanted = one.expected[i];
            const Knob* knob = find_knob(one.facts.engine, one.facts.version, wanted.channel, wanted.knob);
            ASSERT_NE(knob, nullptr) << wanted.knob;
            if (!knob->unverifiable.empty()) {
                EXPECT_EQ(proofs[i].state, ProofState::kCannotVerify);
                continue;
            }
            EXPECT_EQ(proofs[i].state, ProofState::kVerified)
                << one.name << " " << wanted.knob << "=" << wanted.value << ": " << proofs[i].observed << " in "
                << proofs[i].place << " " << proofs[i].why;
            verified.insert(key_of(one.facts.engine, wanted.channel, *knob, one.facts.version));
        }
    }
    for (const auto& [engine, version] : {std::pair("ollama", "0.32.15"), std::pair("ollama", "0.24.0"),
                                          std::pair("llama-server", "0.5.0"), std::pair("embedded", "")})
        for (const Knob& knob : registry().knobs) {
            if (knob.engine != engine || !in_range(version, knob.since, knob.before)) continue;
            for (const std::string& channel : knob.channels) {
                const std::string key = key_of(engine, channel, knob, version);
                const bool told = !knob.unverifiable.empty() || not_recorded().contains(key);
                EXPECT_NE(verified.contains(key), told) << key;
            }
        }
}

TEST(OptimizeProof, AnotherValueIsNotTaken) {
    for (const Recorded& one : recordings()) {
        std::vector<Expected> others = one.expected;
        for (Expected& other : others) {
            const Knob* knob = find_knob(one.facts.engine, one.facts.version, other.channel, other.knob);
            const bool is_switch = knob != nullptr && knob->type == "boolean";  // by any word an Ollama's switch is on
            other.value = !is_switch ? "77" : same_value("boolean", other.value, "on") ? "0" : "1";
        }
        for (const Proof& proof : prove(others, one.facts)) {
            const Knob* knob = nullptr;
            for (const Expected& wanted : others)
                if (wanted.knob == proof.knob)
                    knob = find_knob(one.facts.engine, one.facts.version, wanted.channel, wanted.knob);
            const bool blind = knob == nullptr || !knob->unverifiable.empty();
            EXPECT_EQ(proof.state, blind ? ProofState::kCannotVerify : ProofState::kNotApplied)
                << one.name << " " << proof.knob;
        }
    }
}

Proof prove_one(const Facts& facts, const Expected& wanted) {
    return prove({wanted}, facts).front();
}

TEST(OptimizeProof, SaysWhyASettingIsNotInForce) {
    Facts facts = good_facts();
    const Expected wanted{"parallel", "4", "environment", "OLLAMA_NUM_PARALLEL"};
    facts.observed.models = {{facts.model, 4096, kTestGiB, 0}};
    facts.observed.worker = ObservedProcess{101, {"llama-server", "-c", "4096", "-np", "1"}, {}, true};
    Proof proof = prove_one(facts, wanted);
    EXPECT_EQ(proof.state, ProofState::kNotApplied);
    EXPECT_EQ(proof.observed, "1");
    EXPECT_EQ(
        proof.why,
        "the server (process 100) was started without it; it must be started again from where the variable is set");
    facts.shell["OLLAMA_NUM_PARALLEL"] = "4";
    facts.observed.unit = "ollama.service";
    facts.observed.manager = "systemd unit ollama.service";
    proof = prove_one(facts, wanted);
    EXPECT_EQ(proof.why,
              "it is set in this shell, but the server (process 100) was started without it; systemd unit "
              "ollama.service starts it: a drop-in and 'systemctl restart ollama.service' are needed");
    facts.observed.container = true;
    EXPECT_NE(prove_one(facts, wanted).why.find("needs -e OLLAMA_NUM_PARALLEL=..."), std::string::npos);
    facts.observed.worker->words.back() = "4";
    EXPECT_EQ(prove_one(facts, wanted).state, ProofState::kVerified);
}

TEST(OptimizeProof, AModelfileAndAFlagWinOverAVariable) {
    Facts facts = good_facts();
    facts.observed.models = {{facts.model, 8192, kTestGiB, 0}};
    facts.observed.modelfile = {{"num_ctx", "8192"}, {"num_thread", "2"}};
    Proof proof = prove_one(facts, {"num_ctx", "4096", "environment", "OLLAMA_CONTEXT_LENGTH"});
    EXPECT_EQ(proof.state, ProofState::kNotApplied);
    EXPECT_EQ(proof.why, "the model's Modelfile has num_ctx 8192, which wins");
    facts.observed.worker = ObservedProcess{101, {"llama-server", "-t", "2"}, {{"LLAMA_ARG_THREADS", "4"}}, true};
    proof = prove_one(facts, {"threads", "4", "environment", "LLAMA_ARG_THREADS"});
    EXPECT_EQ(proof.state, ProofState::kNotApplied);
    EXPECT_EQ(proof.why, "the engine's command line has -t 2, which wins");
}

TEST(OptimizeProof, DeadNamesAndWhatCannotBeSeen) {
    Facts facts = good_facts();
    Proof proof = prove_one(facts, {"num_ctx", "4096", "environment", "OLLAMA_NUM_CTX"});
    EXPECT_EQ(proof.state, ProofState::kNotApplied);
    EXPECT_EQ(proof.why, "No release of Ollama reads it. What works: OLLAMA_CONTEXT_LENGTH");
    proof = prove_one(facts, {"num_ctx", "4096", "environment", "OLLAMA_CONTEXT_LENGTH"});
    EXPECT_EQ(proof.state, ProofState::kCannotVerify);
    EXPECT_EQ(proof.why, "llama3.1:8b isn't loaded: use it once, then check again");
    facts.observed.answering = false;
    EXPECT_EQ(prove_one(facts, {"num_ctx", "1", "environment", "OLLAMA_CONTEXT_LENGTH"}).why,
              "no server answers at http://localhost:11434");
    facts = good_facts();
    facts.observed.server->env["OLLAMA_FLASH_ATTN"] = "1";
    EXPECT_EQ(prove_one(facts, {"flash_attention", "", "environment", "OLLAMA_FLASH_ATTN"}).state,
              ProofState::kNotApplied);
    facts.observed.server->env.clear();
    EXPECT_EQ(prove_one(facts, {"flash_attention", "", "environment", "OLLAMA_FLASH_ATTN"}).state,
              ProofState::kVerified);
}

TEST(OptimizeProof, SpellingsOfOneValue) {
    EXPECT_TRUE(same_value("duration", "10m", "10m0s"));
    EXPECT_TRUE(same_value("duration", "600", "10m"));
    EXPECT_FALSE(same_value("duration", "5m", "10m"));
    EXPECT_TRUE(same_value("boolean", "1", "on"));
    EXPECT_TRUE(same_value("boolean", "Enabled", "true"));
    EXPECT_FALSE(same_value("boolean", "off", "1"));
    EXPECT_TRUE(same_value("integer", "4096", "4096.0"));
    EXPECT_FALSE(same_value("integer", "4096", "x"));
    EXPECT_TRUE(same_value("text", "Q8_0", "q8_0"));
}

TEST(OptimizeProof, WhatTheServerWasGivenIsChecked) {
    Facts facts = good_facts();
    facts.observed.server->env = {
        {"OLLAMA_HOST", "127.0.0.1:1"}, {"OLLAMA_NUM_CTX", "8192"}, {"OLLAMA_NUM_PARALLEL", "2"}};
    facts.observed.modelfile = {{"num_ctx", "2048"}, {"stop", "x"}};
    std::vector<std::string> names;
    for (const Expected& one : expected_of_server(facts)) names.push_back(one.knob);
    EXPECT_EQ(names, (std::vector<std::string>{"OLLAMA_NUM_CTX", "OLLAMA_NUM_PARALLEL", "num_ctx"}));
}

TEST(OptimizeProof, AStoredPlanIsReadBack) {
    Facts facts = good_facts();
    facts.threads = {.count = 1, .reason = "quota", .limit = "quota", .quota_cpus = 1.0};
    facts.observed.server->env = {{"OLLAMA_FLASH_ATTN", "1"}};
    const Plan plan = make_plan(facts);
    const auto stored = read_stored_plan(plan_json(plan, 2, "2026-01-01T00:00:00Z", nullptr));
    ASSERT_TRUE(stored);
    EXPECT_EQ(stored->id, plan.id);
    EXPECT_EQ(stored->model, "llama3.1:8b");
    ASSERT_EQ(stored->expected.size(), 2U);
    EXPECT_EQ(stored->expected[0].knob, "LLAMA_ARG_THREADS");
    EXPECT_EQ(stored->expected[0].value, "1");
    EXPECT_EQ(stored->expected[1].value, "");
    EXPECT_FALSE(read_stored_plan("{}"));
    EXPECT_FALSE(read_stored_plan("no JSON"));
}

TEST(OptimizeObserve, PartsOfProc) {
    using namespace std::string_literals;
    EXPECT_EQ(split_nul("a\0b c\0"s), (std::vector<std::string>{"a", "b c"}));
    EXPECT_EQ(engine_environment("PATH=/bin\0OLLAMA_NUM_PARALLEL=2\0OLLAMA_API_KEY=x\0CUDA_VISIBLE_DEVICES=0\0"s),
              (system::Environment{{"CUDA_VISIBLE_DEVICES", "0"}, {"OLLAMA_NUM_PARALLEL", "2"}}));
    EXPECT_EQ(flag_value({"x", "-c", "1", "--ctx-size=2"}, {"-c", "--ctx-size"}), "2");
    EXPECT_EQ(flag_value({"x", "-ngl", "-1"}, {"-ngl"}), "-1");
    EXPECT_EQ(flag_value({"x", "--swa-full", "--port", "1"}, {"--swa-full"}), "1");
    EXPECT_EQ(flag_value({"x", "-cc", "1"}, {"-c"}), std::nullopt);
    EXPECT_EQ(manager_of("0::/system.slice/ollama.service\n", 7).unit, "ollama.service");
    EXPECT_EQ(manager_of("1:name=systemd:/system.slice/ollama.service\n0::/\n", 7).words,
              "systemd unit ollama.service");
    EXPECT_TRUE(manager_of("0::/docker/abc\n", 7).container);
    EXPECT_EQ(manager_of("0::/user.slice/user-1000.slice/session-2.scope\n", 7).words, "process 7");
    EXPECT_EQ(parse_parameters("num_ctx                        4096\nstop    \"<|x|>\"\nbare\n"),
              (std::map<std::string, std::string>{{"num_ctx", "4096"}, {"stop", "\"<|x|>\""}}));
    EXPECT_EQ(duration_seconds("1h30m"), 5400.0);
    EXPECT_EQ(duration_seconds("-1"), -1.0);
    EXPECT_EQ(duration_seconds("100ms"), 0.1);
    EXPECT_EQ(duration_seconds("5 minutes"), std::nullopt);
    EXPECT_EQ(duration_seconds(""), std::nullopt);
}

TEST(OptimizeObserve, SettingsOfADefaultOllama) {
    Observed observed;
    observed.engine = "ollama";
    observed.version = "0.32.15";
    EXPECT_EQ(text_of(settings_of(observed, "m", 0), "num_ctx"), "4096");
    EXPECT_EQ(text_of(settings_of(observed, "m", 24 * kTestGiB), "num_ctx"), "32768");
    EXPECT_EQ(text_of(settings_of(observed, "m", 48 * kTestGiB), "num_ctx"), "262144");
    EXPECT_EQ(text_of(settings_of(observed, "m", 48 * kTestGiB), "num_batch"), "2048");
    observed.version = "0.14.0";
    EXPECT_EQ(text_of(settings_of(observed, "m", 48 * kTestGiB), "num_ctx"), "4096");
    observed.version = "0.32.15";
    observed.server =
        ObservedProcess{10, {}, {{"OLLAMA_CONTEXT_LENGTH", "8192"}, {"OLLAMA_FLASH_ATTENTION", "0"}}, true};
    const Settings settings = settings_of(observed, "m", 0);
    EXPECT_EQ(text_of(settings, "num_ctx"), "8192");
    EXPECT_TRUE(is_chosen(settings, "num_ctx"));
    EXPECT_EQ(text_of(settings, "flash_attention"), "off");
    observed.modelfile = {{"num_ctx", "2048"}};
    EXPECT_EQ(text_of(settings_of(observed, "m", 0), "num_ctx"), "2048");
    observed.models = {{"m:latest", 1024, 1, 0}};
    EXPECT_EQ(text_of(settings_of(observed, "m", 0), "num_ctx"), "1024");
    EXPECT_FALSE(is_chosen(settings_of(observed, "m", 0), "threads"));
}

}  // namespace
}  // namespace velollm::optimize
