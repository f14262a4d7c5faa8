#include <gtest/gtest.h>

#include <algorithm>

#include "optimize/observe.h"
#include "optimize/registry.h"
#include "support/facts.h"

namespace velollm::optimize {
namespace {

using Texts = std::vector<std::string>;

Texts plan_of(const Facts& facts) {
    return changes_of(make_plan(facts));
}

TEST(OptimizeRules, R0NothingToChange) {
    const Plan plan = make_plan(good_facts());
    EXPECT_EQ(changes_of(plan), Texts{});
    EXPECT_TRUE(plan.findings.empty());
    EXPECT_TRUE(plan.changes().empty());
    EXPECT_EQ(plan.id.size(), 12U);
    EXPECT_EQ(plan.id, make_plan(good_facts()).id);
}

TEST(OptimizeRules, R1QuotaBelowTheEnginesOwnChoice) {
    Facts facts = good_facts();
    facts.threads = {.count = 1, .reason = "cgroup quota 1.00 CPUs", .limit = "quota", .quota_cpus = 1.0};
    const Plan plan = make_plan(facts);
    EXPECT_EQ(changes_of(plan), Texts{"R1 threads=1 environment LLAMA_ARG_THREADS"});
    const Finding& finding = plan.findings.front();
    EXPECT_EQ(finding.title, "Too many threads: Ollama takes 8 threads, 1 can run");
    EXPECT_EQ(finding.evidence[0], "by itself the engine takes 8: one for each physical core");
    EXPECT_EQ(finding.evidence[1], "usable: 1 (cgroup quota 1.00 CPUs)");
    EXPECT_EQ(finding.effects[0].metric, "decode");
    EXPECT_DOUBLE_EQ(finding.effects[0].low, 2.0);
    EXPECT_DOUBLE_EQ(finding.effects[0].high, 45.0);
    EXPECT_EQ(finding.confidence, Confidence::kHigh);
    EXPECT_TRUE(finding.lossless);
    EXPECT_EQ(finding.verify, "the server's log shows n_threads 1");
    EXPECT_EQ(finding.undo, "take LLAMA_ARG_THREADS out where the server is started, and start it again");
}

TEST(OptimizeRules, R1GoesThroughWhatTheVersionReads) {
    Facts facts = good_facts();
    facts.threads = {.count = 1, .reason = "affinity to 1 of 16 CPUs", .limit = "affinity"};
    facts.version = "0.24.0";
    EXPECT_EQ(plan_of(facts), Texts{"R1 threads=1 modelfile num_thread"});
    facts.version = "0.32.15";
    facts.observed.modelfile["num_thread"] = "8";  // it would win over the variable
    choose(facts, "threads", "8");
    EXPECT_EQ(plan_of(facts), Texts{"R1 threads=1 modelfile num_thread"});
    facts.engine = facts.observed.engine = "llama-server";
    facts.version = "0.5.0";
    EXPECT_EQ(plan_of(facts), Texts{"R1 threads=1 flag --threads"});
    facts.engine = facts.observed.engine = "embedded";
    EXPECT_EQ(plan_of(facts), Texts{"R1 threads=1 environment OLLAMA_NUM_THREAD"});
    facts.settings.erase("threads");  // by itself it takes the usable ones
    EXPECT_EQ(plan_of(facts), Texts{});
}

TEST(OptimizeRules, R1OldOllamaHeedsQuotasOfVersion2Only) {
    Facts facts = good_facts();
    facts.version = "0.24.0";
    facts.threads = {.count = 2, .reason = "quota", .limit = "quota", .quota_cpus = 2.5};
    EXPECT_EQ(plan_of(facts), Texts{});
    facts.hardware.surroundings.cgroup = "v1";
    EXPECT_EQ(plan_of(facts), Texts{"R1 threads=2 modelfile num_thread"});
}

TEST(OptimizeRules, R1HybridCoresAndNodes) {
    Facts facts = good_facts();
    facts.hardware.cpu.kinds = {{.kind = "performance", .cores = 4, .threads = 8},
                                {.kind = "efficiency", .cores = 4, .threads = 4}};
    facts.threads.count = 4;
    EXPECT_EQ(plan_of(facts), Texts{});  // llama.cpp takes the performance cores on x86
    facts.hardware.cpu.arch = "aarch64";
    facts.threads.limit = "performance_cores";
    EXPECT_EQ(plan_of(facts), Texts{"R1 threads=4 environment LLAMA_ARG_THREADS"});
    facts = good_facts();
    facts.hardware.cpu.numa = {{.node = 0, .cpus = "0-3"}, {.node = 1, .cpus = "4-7"}, {.node = 2, .cpus = ""}};
    const Plan plan = make_plan(facts);
    EXPECT_EQ(changes_of(plan), Texts{"R1 threads=4 environment LLAMA_ARG_THREADS"});
    EXPECT_EQ(plan.findings[0].evidence[1], "usable: 4 (4 cores of one of 2 NUMA nodes)");
}

TEST(OptimizeRules, R1TooFewThreadsThatSomebodyChose) {
    Facts facts = good_facts();
    choose(facts, "threads", "2");
    const Plan plan = make_plan(facts);
    EXPECT_EQ(changes_of(plan), Texts{"R1 threads=8 environment LLAMA_ARG_THREADS"});
    EXPECT_DOUBLE_EQ(plan.findings[0].effects[0].high, 4.0);
    EXPECT_EQ(plan.findings[0].confidence, Confidence::kMedium);
}

TEST(OptimizeRules, R1NotWhereTheGpuComputesAlone) {
    Facts facts = good_facts();
    facts.hardware.gpus = {test_gpu(24 * kTestGiB)};
    facts.threads = {.count = 1, .reason = "quota", .limit = "quota", .quota_cpus = 1.0};
    EXPECT_EQ(plan_of(facts), Texts{});
    facts.observed.models = {{"llama3.1:8b", 4096, 6 * kTestGiB, 5 * kTestGiB}};  // a part is on the processor
    EXPECT_EQ(plan_of(facts), Texts{"R1 threads=1 environment LLAMA_ARG_THREADS"});
}

TEST(OptimizeRules, R2ContextThatFits) {
    // 7.5 GiB free less a margin of 1 GiB; the embedding stays in RAM, 128 KiB a token go to keys and values.
    Facts facts = good_facts();
    facts.hardware.gpus = {test_gpu(15 * kTestGiB / 2)};
    choose(facts, "num_ctx", "32768");
    const Plan plan = make_plan(facts);
    EXPECT_EQ(changes_of(plan), Texts{"R2 num_ctx=16384 modelfile num_ctx"});
    EXPECT_EQ(plan.findings[0].title, "A context of 32768 doesn't fit the GPU memory; 16384 does");
    EXPECT_DOUBLE_EQ(plan.findings[0].effects[0].low, 3.0);
    EXPECT_DOUBLE_EQ(plan.findings[0].effects[0].high, 10.0);
    EXPECT_EQ(plan.findings[0].verify, "/api/ps shows context_length 16384");
}

TEST(OptimizeRules, R2NeverBelowWhatTheUserNeeds) {
    Facts facts = good_facts();
    facts.hardware.gpus = {test_gpu(15 * kTestGiB / 2)};
    choose(facts, "num_ctx", "32768");
    facts.limits.context_tokens = 20000;
    const Plan plan = make_plan(facts);
    for (const Change& change : plan.changes()) EXPECT_NE(change.setting, "num_ctx");
    EXPECT_NE(std::find_if(plan.notes.begin(), plan.notes.end(),
                           [](const std::string& note) { return note.find("--allow-lossy") != std::string::npos; }),
              plan.notes.end());
}

TEST(OptimizeRules, R2MemoryOfTheProcessorsSide) {
    Facts facts = good_facts();
    facts.memory_bytes = 8 * kTestGiB;
    choose(facts, "num_ctx", "65536");
    const Plan plan = make_plan(facts);
    ASSERT_EQ(plan.changes().size(), 1U);
    EXPECT_EQ(plan.changes()[0].setting, "num_ctx");
    const auto tokens = std::stoll(plan.changes()[0].value);
    EXPECT_EQ(tokens % 1024, 0);
    EXPECT_GT(tokens, 20000);
    EXPECT_LT(tokens, 30000);
}

TEST(OptimizeRules, R2LongerContextWhereTheProfileNeedsIt) {
    Facts facts = good_facts();
    facts.profile = Profile::kAgent;
    EXPECT_EQ(plan_of(facts), Texts{"R2 num_ctx=17408 modelfile num_ctx"});
    facts.profile = Profile::kRag;
    EXPECT_EQ(plan_of(facts), Texts{"R2 num_ctx=9216 modelfile num_ctx"});
    facts.profile = Profile::kChat;
    facts.limits.context_tokens = 6000;
    EXPECT_EQ(plan_of(facts), Texts{"R2 num_ctx=6144 modelfile num_ctx"});
    facts.limits.context_tokens = 4096;
    EXPECT_EQ(plan_of(facts), Texts{});
    facts.limits.context_tokens = 1'000'000;  // at most what it was trained for, and what fits
    EXPECT_EQ(plan_of(facts), Texts{"R2 num_ctx=131072 modelfile num_ctx"});
}

TEST(OptimizeRules, R2SlotsOfLlamaServerDivideTheContextUnlessTheyShareACache) {
    Facts facts = good_facts();
    facts.engine = facts.observed.engine = "llama-server";
    facts.version = "0.5.0";
    facts.observed.slots = 4;
    facts.limits.context_tokens = 6000;
    facts.observed.slot_context = 4096;
    facts.observed.server = ObservedProcess{100, {"llama-server"}, {}, true};
    facts.settings = settings_of(facts.observed, facts.model, 0);
    EXPECT_EQ(plan_of(facts), Texts{"R2 num_ctx=6144 flag --ctx-size"});
    facts.observed.server->words = {"llama-server", "-np", "4"};
    facts.settings = settings_of(facts.observed, facts.model, 0);
    EXPECT_EQ(text_of(facts.settings, "num_ctx"), "16384");
    EXPECT_EQ(plan_of(facts), Texts{"R2 num_ctx=24576 flag --ctx-size"});
    // Each slot may have what the model was trained for.
    facts.limits.context_tokens = 131072;
    facts.memory_bytes = 512 * kTestGiB;
    EXPECT_EQ(plan_of(facts), Texts{"R2 num_ctx=524288 flag --ctx-size"});
}

TEST(OptimizeRules, R2WhatIsTooLargeAltogether) {
    Facts facts = good_facts();
    facts.memory_bytes = 4 * kTestGiB;
    const Plan plan = make_plan(facts);
    EXPECT_EQ(changes_of(plan), Texts{"R2 advice"});
    EXPECT_EQ(plan.findings[0].advice, "Take a smaller model or quantisation, or free memory.");
    EXPECT_TRUE(plan.changes().empty());
}

TEST(OptimizeRules, R3LossyCacheOnlyWhenAllowed) {
    Facts facts = good_facts();
    facts.hardware.gpus = {test_gpu(15 * kTestGiB / 2)};
    choose(facts, "num_ctx", "20480");
    facts.limits.context_tokens = 20000;
    facts.limits.allow_lossy = true;
    const Plan plan = make_plan(facts);
    ASSERT_FALSE(plan.findings.empty());
    EXPECT_EQ(plan.findings[0].rule, "R3");
    EXPECT_FALSE(plan.findings[0].lossless);
    EXPECT_EQ(changes_of(plan)[0], "R3 kv_type=q8_0 environment OLLAMA_KV_CACHE_TYPE");
    for (const Change& change : plan.changes()) EXPECT_NE(change.value, "q4_0");
    // Up to 0.24 the type is ignored without flash attention.
    facts.version = "0.24.0";
    const Texts old = plan_of(facts);
    EXPECT_NE(std::find(old.begin(), old.end(), "R3 flash_attention=1 environment OLLAMA_FLASH_ATTENTION"), old.end());
    // Some models get slower by it.
    facts.version = "0.32.15";
    facts.shape->architecture = "gptoss";
    for (const Change& change : make_plan(facts).changes()) EXPECT_NE(change.setting, "kv_type");
}

TEST(OptimizeRules, R4ParallelRequests) {
    Facts facts = good_facts();
    facts.hardware.gpus = {test_gpu(8 * kTestGiB)};
    choose(facts, "parallel", "4");
    choose(facts, "num_ctx", "8192");
    EXPECT_EQ(plan_of(facts), Texts{"R4 parallel=1 environment OLLAMA_NUM_PARALLEL"});
    facts = good_facts();
    facts.hardware.gpus = {test_gpu(24 * kTestGiB)};
    facts.profile = Profile::kBatch;
    const Plan plan = make_plan(facts);
    EXPECT_EQ(changes_of(plan), Texts{"R4 parallel=8 environment OLLAMA_NUM_PARALLEL"});
    EXPECT_EQ(plan.findings[0].effects[0].metric, "throughput");
    facts.hardware.gpus = {test_gpu(15 * kTestGiB / 2)};
    EXPECT_EQ(plan_of(facts), Texts{"R4 parallel=4 environment OLLAMA_NUM_PARALLEL"});
}

TEST(OptimizeRules, R5AndR6ExpertsAndPartialOffload) {
    Facts facts = good_facts("qwen3:30b-a3b");
    ASSERT_TRUE(facts.shape);
    facts.hardware.gpus = {test_gpu(16 * kTestGiB)};
    facts.memory_bytes = 64 * kTestGiB;
    choose(facts, "gpu_layers", "99");
    const Texts changes = plan_of(facts);
    EXPECT_NE(std::find(changes.begin(), changes.end(), "R5 gpu_layers=-1 modelfile num_gpu"), changes.end());
    EXPECT_NE(std::find(changes.begin(), changes.end(), "R6 num_batch=4096 modelfile num_batch"), changes.end());
    facts.settings.erase("gpu_layers");
    for (const Change& change : make_plan(facts).changes()) EXPECT_NE(change.setting, "gpu_layers");
    // Before 0.30 there was no fit that a number could switch off.
    choose(facts, "gpu_layers", "20");
    facts.version = "0.24.0";
    for (const Change& change : make_plan(facts).changes()) EXPECT_NE(change.setting, "gpu_layers");
}

TEST(OptimizeRules, R6SmallBatchIsPrefillOnly) {
    Facts facts = good_facts();
    choose(facts, "num_batch", "64");
    const Plan plan = make_plan(facts);
    EXPECT_EQ(changes_of(plan), Texts{"R6 num_batch=512 modelfile num_batch"});
    for (const Effect& effect : plan.findings[0].effects) EXPECT_EQ(effect.metric, "prefill");
    facts.settings["num_batch"].chosen = false;  // the engine's own choice stays
    EXPECT_EQ(plan_of(facts), Texts{});
}

TEST(OptimizeRules, R7FlashAttentionBefore030) {
    Facts facts = good_facts();
    facts.hardware.gpus = {test_gpu(24 * kTestGiB)};
    facts.version = "0.24.0";
    EXPECT_EQ(plan_of(facts), Texts{"R7 flash_attention=1 environment OLLAMA_FLASH_ATTENTION"});
    facts.shape->architecture = "qwen3";  // on by itself
    EXPECT_EQ(plan_of(facts), Texts{});
    facts.shape->architecture = "llama";
    facts.version = "0.32.15";
    EXPECT_EQ(plan_of(facts), Texts{});
}

TEST(OptimizeRules, R8GpuThatIsNotUsed) {
    Facts facts = good_facts();
    facts.hardware.gpus = {test_gpu(24 * kTestGiB)};
    facts.observed.models = {{"llama3.1:8b", 4096, 6 * kTestGiB, 0}};
    facts.hardware.gpus[0].driver = "";
    const Plan plan = make_plan(facts);
    EXPECT_EQ(changes_of(plan), Texts{"R8 advice"});
    EXPECT_EQ(plan.findings[0].evidence[1], "Test GPU has no driver");
    EXPECT_TRUE(plan.changes().empty());
    facts.hardware.gpus[0].driver = "i915";
    facts.hardware.gpus[0].integrated = true;
    EXPECT_EQ(plan_of(facts), Texts{"R8 try igpu=1 environment OLLAMA_IGPU_ENABLE"});
    EXPECT_TRUE(make_plan(facts).changes().empty());  // a trial is never written
    choose(facts, "gpu_layers", "0");
    EXPECT_EQ(plan_of(facts), Texts{"R8 gpu_layers=-1 modelfile num_gpu"});
}

TEST(OptimizeRules, R9ReloadsByClients) {
    Facts facts = good_facts();
    for (const int context : {4096, 8192, 4096, 8192})
        facts.observed.log +=
            "msg=\"starting llama-server\" cmd=\"x --model /m -c " + std::to_string(context) + " -np 1\"\n";
    const Plan plan = make_plan(facts);
    EXPECT_EQ(changes_of(plan), Texts{"R9 advice"});
    EXPECT_EQ(plan.findings[0].evidence[0], "the log has 4 loads with contexts of 4096, 8192");
}

TEST(OptimizeRules, R10KeepAliveMovesTheFirstTokenOnly) {
    Facts facts = good_facts();
    choose(facts, "keep_alive", "30s");
    const Plan plan = make_plan(facts);
    EXPECT_EQ(changes_of(plan), Texts{"R10 keep_alive=5m environment OLLAMA_KEEP_ALIVE"});
    for (const Effect& effect : plan.findings[0].effects) EXPECT_EQ(effect.metric, "ttft");
    for (const char* fine : {"5m", "1h30m", "-1", "300", "10m0s"}) {
        choose(facts, "keep_alive", fine);
        EXPECT_EQ(plan_of(facts), Texts{}) << fine;
    }
}

TEST(OptimizeRules, R11DeadNames) {
    Facts facts = good_facts();
    facts.observed.server->env = {{"OLLAMA_NUM_CTX", "8192"}, {"OLLAMA_FLASH_ATTN", "1"}, {"OLLAMA_NUM_PARALLEL", "1"}};
    facts.shell = {{"OLLAMA_GPU_LAYERS", "99"}, {"OLLAMA_NUM_BATCH", "1024"}};
    const Plan plan = make_plan(facts);
    EXPECT_EQ(changes_of(plan),
              (Texts{"R11 flash_attention= environment OLLAMA_FLASH_ATTN", "R11 num_ctx= environment OLLAMA_NUM_CTX",
                     "R11 gpu_layers= environment OLLAMA_GPU_LAYERS"}));
    EXPECT_EQ(plan.findings[1].advice, "What works: OLLAMA_CONTEXT_LENGTH");
    ASSERT_EQ(plan.notes.size(), 1U);  // in a shell VeloLLM itself reads it
    // A shell that sourced our own file gives the server names that do nothing and no harm.
    facts.shell.clear();
    facts.observed.server->env = {{"OLLAMA_NUM_THREAD", "4"}};
    choose(facts, "threads", "4");
    facts.threads.count = 4;
    EXPECT_EQ(plan_of(facts), Texts{});
}

TEST(OptimizeRules, R12IsATrial) {
    Facts facts = good_facts();
    facts.shape->tensors.push_back({});
    facts.shape->tensors.back().name = "blk.32.nextn.eh_proj.weight";
    EXPECT_EQ(plan_of(facts), Texts{"R12 try draft_n=2 modelfile draft_num_predict"});
    EXPECT_TRUE(make_plan(facts).changes().empty());
}

TEST(OptimizeRules, NothingIsSaidAboutAnotherMachine) {
    Facts facts = good_facts();
    facts.hardware = {};
    facts.threads.count = 0;
    facts.memory_bytes = 0;
    choose(facts, "num_ctx", "100000");
    EXPECT_EQ(plan_of(facts), Texts{});
}

/// Whatever the facts, what is emitted is read by that version, and never on the list of what is never emitted.
TEST(OptimizeRules, NeverEmitted) {
    for (const char* version : {"0.9.6", "0.24.0", "0.30.0", "0.32.15", ""})
        for (const char* engine : {"ollama", "llama-server"})
            for (const Profile profile : {Profile::kChat, Profile::kAgent, Profile::kRag, Profile::kBatch})
                for (const std::int64_t gigabytes : {0, 4, 7, 16, 48})
                    for (const int threads : {1, 4, 8}) {
                        Facts facts = good_facts("qwen3:30b-a3b");
                        facts.engine = facts.observed.engine = engine;
                        facts.version = std::string(engine) == "ollama" ? version : "0.5.0";
                        facts.profile = profile;
                        facts.limits.allow_lossy = true;
                        facts.threads = {
                            .count = threads, .reason = "x", .limit = "quota", .quota_cpus = 1.0 * threads};
                        if (gigabytes > 0) facts.hardware.gpus = {test_gpu(gigabytes * kTestGiB)};
                        choose(facts, "gpu_layers", "99");
                        choose(facts, "num_batch", "32");
                        choose(facts, "keep_alive", "1s");
                        const Plan plan = make_plan(facts);
                        for (const Finding& finding : plan.findings)
                            for (const Change& change : finding.changes) {
                                const Knob* knob = find_knob(facts.engine, facts.version, change.channel, change.knob);
                                EXPECT_TRUE(change.value.empty() || knob != nullptr)
                                    << change.knob << " in " << version;
                                EXPECT_FALSE(change.setting == "gpu_layers" && change.value == "999");
                                EXPECT_FALSE(change.setting == "threads" && change.value == "16");  // SMT
                                EXPECT_NE(change.value, "q4_0");
                                for (const Effect& effect : finding.effects) {
                                    EXPECT_LE(effect.low, effect.high);
                                    EXPECT_FALSE(change.setting == "keep_alive" && effect.metric != "ttft");
                                    EXPECT_FALSE(change.setting == "num_batch" && effect.metric == "decode" &&
                                                 effect.high > 1.0);
                                }
                                EXPECT_FALSE(finding.verify.empty()) << change.knob;
                                EXPECT_FALSE(finding.undo.empty()) << change.knob;
                            }
                    }
}

}  // namespace
}  // namespace velollm::optimize
