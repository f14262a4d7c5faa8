// What a tuning run is made of beside its search: words, stages, the file that is kept.

#include "optimize/tune.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "backend/set_option.h"
#include "benchmark/arms.h"
#include "optimize/tuned_file.h"
#include "support/temp_folder.h"

namespace velollm::optimize {
namespace tune_test {

TEST(Words, OfAChoiceForEachEngine) {
    Facts facts;
    facts.engine = "llama-server";
    facts.version = "0.5.0";
    const Choice choice{{"num_batch", "1024"}, {"spec_type", "ngram-mod"}, {"threads", "2"}};
    EXPECT_EQ(words_of(facts, choice, true),
              (std::vector<std::string>{"--ubatch-size=1024", "--batch-size=1024", "--spec-type=ngram-mod",
                                        "--threads=2", "--threads-batch=2"}));
    facts.engine = "ollama";
    facts.version = "0.32.15";
    EXPECT_EQ(words_of(facts, choice, true),
              (std::vector<std::string>{"num_batch=1024", "LLAMA_ARG_SPEC_TYPE=ngram-mod", "LLAMA_ARG_THREADS=2"}));
    // What is measured is what is proposed: through a server that runs, or beside a Modelfile that wins, the request's.
    EXPECT_EQ(words_of(facts, {{"threads", "2"}}, false), std::vector<std::string>{"num_thread=2"});
    facts.observed.modelfile = {{"num_thread", "4"}};
    EXPECT_EQ(words_of(facts, {{"threads", "2"}}, true), std::vector<std::string>{"num_thread=2"});
    facts.observed.modelfile.clear();
    facts.engine = "embedded";
    facts.version = "0.5.0";
    EXPECT_EQ(words_of(facts, {{"flash_attention", "off"}, {"spec_type", "ngram"}, {"threads", "2"}}, true),
              (std::vector<std::string>{"flash_attn=off", "speculation=ngram", "num_thread=2"}));
}

TEST(Words, ADraftModelComesWithItsTokens) {
    Facts facts;
    facts.draft_model = "/models/small.gguf";
    const Choice choice{{"spec_type", "draft 4"}};
    facts.engine = "llama-server";
    facts.version = "0.5.0";
    EXPECT_EQ(words_of(facts, choice, true),
              (std::vector<std::string>{"--spec-type=draft-simple", "--spec-draft-model=/models/small.gguf",
                                        "--spec-draft-n-max=4"}));
    facts.engine = "ollama";
    facts.version = "0.32.15";
    EXPECT_EQ(words_of(facts, choice, true), (std::vector<std::string>{"LLAMA_ARG_SPEC_TYPE=draft-simple",
                                                                       "LLAMA_ARG_SPEC_DRAFT_MODEL=/models/small.gguf",
                                                                       "LLAMA_ARG_SPEC_DRAFT_N_MAX=4"}));
    facts.engine = "embedded";
    facts.version = "";
    const std::vector<std::string> words = words_of(facts, choice, true);
    EXPECT_EQ(words,
              (std::vector<std::string>{"speculation=draft-simple", "draft=/models/small.gguf", "draft_tokens=4"}));
    TargetSpec target;
    for (const std::string& word : words) ASSERT_TRUE(backend::set_option(target, word)) << word;
    EXPECT_EQ(target.draft, "/models/small.gguf");
}

TEST(Words, FlagsOfAServerThatAreCopied) {
    EXPECT_EQ(flags_to_copy({"/bin/llama-server", "-m", "x.gguf", "-c", "2048", "--host=0.0.0.0", "--port", "1",
                             "--mlock", "--api-key", "secret"}),
              (std::vector<std::string>{"-c", "2048", "--mlock"}));
    EXPECT_EQ(flags_to_copy({"llama-server", "-hf", "x/y", "--api-prefix=/x", "--hf-token", "t", "-t", "2"}),
              (std::vector<std::string>{"-t", "2"}));
}

TEST(Words, EachIsTakenByATarget) {
    TargetSpec target;
    target.backend = "llamacpp";
    for (const char* word : {"num_thread=2", "--flash-attn=off", "--mlock", "LLAMA_ARG_THREADS=1", "raw=true"})
        ASSERT_TRUE(backend::set_option(target, word)) << word;
    EXPECT_EQ(target.options.num_thread, 2);
    EXPECT_EQ(target.server_flags, (std::vector<std::string>{"--flash-attn", "off", "--mlock"}));
    EXPECT_EQ(target.server_env.at("LLAMA_ARG_THREADS"), "1");
    for (const char* word : {"num_thread=0", "num_thread", "speed=2", "=", "", "-", "num_ctx=1e3", "model="})
        EXPECT_FALSE(backend::set_option(target, word)) << word;
}

TEST(Stages, OnlyWhatCanActHere) {
    Facts facts;
    facts.engine = "ollama";
    facts.version = "0.24.0";
    facts.threads.count = 4;
    facts.hardware.cpu.physical_cores = 4;
    const StagePlan old = tune_stages(facts, *parse_budget("quick"), true);
    for (const Stage& stage : old.stages) EXPECT_NE(stage.id, "S6");  // this version knows no speculation
    facts.version = "0.32.15";
    const StagePlan now = tune_stages(facts, *parse_budget("quick"), true);
    bool speculation = false;
    for (const Stage& stage : now.stages) {
        speculation = speculation || stage.id == "S6";
        EXPECT_NE(stage.id, "S5");  // lossy, and not allowed
        EXPECT_NE(stage.id, "S7");  // not batch
    }
    EXPECT_TRUE(speculation);
    // Speculation of the model's own layers only where it has some; a draft only where one is named.
    const auto kinds = [&] {
        for (Stage& stage : tune_stages(facts, *parse_budget("quick"), true).stages)
            if (stage.id == "S6") return std::move(stage.values);
        return std::vector<std::string>{};
    };
    EXPECT_EQ(kinds(), (std::vector<std::string>{"ngram-mod", "ngram-simple"}));
    facts.draft_model = "small.gguf";
    EXPECT_EQ(kinds(), (std::vector<std::string>{"ngram-mod", "ngram-simple", "draft 2", "draft 4", "draft 8"}));
    facts.draft_model.clear();
    facts.shape.emplace();
    facts.shape->tensors.push_back({.name = "blk.47.nextn.eh_proj.weight"});
    facts.engine = "llama-server";
    facts.version = "0.5.0";
    EXPECT_EQ(kinds(), (std::vector<std::string>{"ngram-mod", "ngram-simple", "draft-mtp"}));
    facts.shape.reset();
    facts.engine = "ollama";
    facts.version = "0.32.15";
    // Prompts that don't fill a batch can't tell batches apart.
    for (const Stage& stage : now.stages) EXPECT_NE(stage.id, "S3");
    facts.profile = Profile::kRag;
    std::vector<std::string> batches;
    for (const Stage& stage : tune_stages(facts, *parse_budget("normal"), true).stages)
        if (stage.id == "S3") batches = stage.values;
    EXPECT_EQ(batches, (std::vector<std::string>{"512", "1024"}));
    facts.profile = Profile::kChat;
    // A server that runs already reads no environment.
    for (const Stage& stage : tune_stages(facts, *parse_budget("quick"), false).stages) EXPECT_NE(stage.id, "S6");
    EXPECT_FALSE(parse_budget("slow"));
}

TEST(TunedFile, IsReadAsItWasKept) {
    const test::TempFolder folder;
    system::System system;
    system.env = {{"XDG_STATE_HOME", folder.path().string()}};
    Facts facts;
    facts.model = "a";
    const std::string key = tuned_key(facts, "ask");
    EXPECT_FALSE(read_tuned(system, key));
    const Choice choice{{"num_batch", "1024"}, {"threads", "2"}};
    keep_tuned(system, key, choice);
    EXPECT_EQ(read_tuned(system, key), choice);
    // Another model, engine version or number of threads is another search.
    facts.model = "b";
    EXPECT_NE(tuned_key(facts, "ask"), key);
    EXPECT_FALSE(read_tuned(system, tuned_key(facts, "ask")));
    // So is one with other limits, another question, or other settings in force.
    facts.model = "a";
    EXPECT_EQ(tuned_key(facts, "ask"), key);
    EXPECT_NE(tuned_key(facts, "else"), key);
    facts.limits.allow_lossy = true;
    EXPECT_NE(tuned_key(facts, "ask"), key);
    facts.limits.allow_lossy = false;
    facts.settings["threads"] = {"4", "a file", true};
    EXPECT_NE(tuned_key(facts, "ask"), key);
    facts.settings["threads"].chosen = false;
    EXPECT_EQ(tuned_key(facts, "ask"), key);
    facts.draft_model = "small.gguf";
    EXPECT_NE(tuned_key(facts, "ask"), key);
    facts.draft_model.clear();
    // A broken file counts as none.
    ASSERT_TRUE(system::write_file_atomic(folder.path() / "velollm" / ("tuned-" + key + ".json"), "{\"schema\": 1"));
    EXPECT_FALSE(read_tuned(system, key));
}

TEST(Answers, ShareThatIsAlike) {
    EXPECT_DOUBLE_EQ(benchmark::common_share("one two", "one two"), 1.0);
    EXPECT_DOUBLE_EQ(benchmark::common_share("one two", "one too"), 5.0 / 7.0);
    EXPECT_DOUBLE_EQ(benchmark::common_share("", ""), 1.0);
    EXPECT_DOUBLE_EQ(benchmark::common_share("", "x"), 0.0);
}

TEST(NeedLoads, AllButServersThatRunAtDifferentAddresses) {
    TargetSpec a;
    a.backend = "openai";
    a.url = "http://localhost:1/v1";
    TargetSpec b = a;
    b.url = "http://localhost:2/v1";
    EXPECT_FALSE(benchmark::need_loads({a, b}));
    a.backend = b.backend = "ollama";
    EXPECT_FALSE(benchmark::need_loads({a, b}));
    b.url = a.url;
    EXPECT_FALSE(benchmark::need_loads({a, b}));
    b.options.num_thread = 2;
    EXPECT_TRUE(benchmark::need_loads({a, b}));
    b = a;
    b.own_server = true;
    EXPECT_TRUE(benchmark::need_loads({a, b}));
    a.backend = b.backend = "embedded";
    EXPECT_TRUE(benchmark::need_loads({a, b}));
}

}  // namespace tune_test
}  // namespace velollm::optimize
