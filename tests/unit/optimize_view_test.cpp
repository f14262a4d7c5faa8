// What engines make of what they are given, and what wins over what.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "optimize/observe.h"
#include "optimize/outputs.h"
#include "optimize/proof.h"
#include "support/facts.h"

namespace velollm::optimize {
namespace view_test {

using Texts = std::vector<std::string>;

TEST(OptimizeView, OllamaTakesQuotesAwayAndKnowsGosWords) {
    EXPECT_EQ(ollama_value(" \"8192\" "), "8192");
    EXPECT_EQ(ollama_value("'2'"), "2");
    EXPECT_EQ(ollama_value("\"\""), "");
    for (const char* no : {"0", "f", "F", "false", "FALSE", "False", "\"0\"", ""})
        EXPECT_FALSE(ollama_switch(no)) << no;
    for (const char* yes : {"1", "true", "maybe", "fAlse", "no"}) EXPECT_TRUE(ollama_switch(yes)) << yes;
    Facts facts = good_facts();
    facts.observed.server->env = {
        {"OLLAMA_CONTEXT_LENGTH", "\"8192\""}, {"OLLAMA_NUM_PARALLEL", "'2'"}, {"OLLAMA_FLASH_ATTENTION", "F"}};
    Settings settings = settings_of(facts.observed, facts.model, 0);
    EXPECT_EQ(number_of(settings, "num_ctx"), 8192);
    EXPECT_EQ(number_of(settings, "parallel"), 2);
    EXPECT_EQ(text_of(settings, "flash_attention"), "off");
    facts.observed.server->env = {{"OLLAMA_NUM_PARALLEL", "0"}};
    settings = settings_of(facts.observed, facts.model, 0);
    EXPECT_EQ(number_of(settings, "parallel"), 1);
    EXPECT_FALSE(is_chosen(settings, "parallel"));
}

TEST(OptimizeView, LlamaServerComputesNoMoreAtOnceThanItTakesIn) {
    Observed observed;
    observed.engine = "llama-server";
    observed.version = "0.5.0";
    observed.server = ObservedProcess{100, {"llama-server", "-b", "16"}, {}, true};
    EXPECT_EQ(number_of(settings_of(observed, "m", 0), "num_batch"), 16);
    EXPECT_TRUE(is_chosen(settings_of(observed, "m", 0), "num_batch"));
    observed.server->words = {"llama-server", "-b", "1024", "-ub", "256"};
    EXPECT_EQ(number_of(settings_of(observed, "m", 0), "num_batch"), 256);
}

TEST(OptimizeView, TheEmbeddedEngineTakesWhatItsShellSets) {
    Facts facts = good_facts();
    facts.engine = facts.observed.engine = "embedded";
    facts.version = facts.observed.version = "0.5.0";
    facts.observed.server.reset();
    facts.settings =
        settings_of(facts.observed, facts.model, 0, {{"OLLAMA_NUM_THREAD", "12"}, {"OLLAMA_NUM_CTX", "8192"}});
    EXPECT_EQ(number_of(facts.settings, "num_ctx"), 8192);
    EXPECT_EQ(changes_of(make_plan(facts)), Texts{"R1 threads=8 environment OLLAMA_NUM_THREAD"});
    facts.settings.erase("threads");
    EXPECT_EQ(changes_of(make_plan(facts)), Texts{});
}

TEST(OptimizeView, ALogGoesOnFromRunToRun) {
    const std::string old = "time=1 msg=\"server config\" env=\"map[A:1]\"\nsystem_info: n_threads = 1 (x\n";
    const std::string now = "time=2 msg=\"server config\" env=\"map[A:2]\"\n";
    EXPECT_EQ(log_of_this_run(old + now), now);
    EXPECT_EQ(log_of_this_run(old), old);
    EXPECT_EQ(log_of_this_run("no such line\n"), "no such line\n");
    // And of a model that isn't loaded it says nothing.
    Facts facts = good_facts();
    facts.observed.log = old;
    const Expected threads{"threads", "1", "environment", "LLAMA_ARG_THREADS"};
    EXPECT_EQ(prove({threads}, facts).front().state, ProofState::kCannotVerify);
    facts.observed.models = {{facts.model, 4096, kTestGiB, 0}};
    facts.observed.worker = ObservedProcess{101, {"llama-server"}, {}, true};
    EXPECT_EQ(prove({threads}, facts).front().state, ProofState::kVerified);
    facts.observed.models.push_back({"other", 4096, kTestGiB, 0});
    EXPECT_EQ(prove({threads}, facts).front().state, ProofState::kNotApplied);
}

TEST(OptimizeView, AValueIsComparedAsTheEngineReadsIt) {
    EXPECT_TRUE(same_value("duration", "-1", "2562047h47m16.854775807s"));
    EXPECT_FALSE(same_value("duration", "5m", "2562047h47m16.854775807s"));
    Facts facts = good_facts();
    facts.observed.models = {{facts.model, 4096, kTestGiB, 0}};
    facts.observed.worker = ObservedProcess{101, {"llama-server", "-np", "1", "--flash-attn", "on"}, {}, true};
    const auto state = [&](const Expected& wanted) { return prove({wanted}, facts).front().state; };
    EXPECT_EQ(state({"parallel", "0", "environment", "OLLAMA_NUM_PARALLEL"}), ProofState::kVerified);
    EXPECT_EQ(state({"parallel", "\"1\"", "environment", "OLLAMA_NUM_PARALLEL"}), ProofState::kVerified);
    EXPECT_EQ(state({"parallel", "2", "environment", "OLLAMA_NUM_PARALLEL"}), ProofState::kNotApplied);
    EXPECT_EQ(state({"flash_attention", "maybe", "environment", "OLLAMA_FLASH_ATTENTION"}), ProofState::kVerified);
    EXPECT_EQ(state({"flash_attention", "F", "environment", "OLLAMA_FLASH_ATTENTION"}), ProofState::kNotApplied);
    facts.observed.server->env = {{"OLLAMA_KEEP_ALIVE", "10s"}};
    facts.observed.log = "msg=\"server config\" env=\"map[OLLAMA_KEEP_ALIVE:10s ]\"\n";
    EXPECT_EQ(prove({{"keep_alive", "5m", "environment", "OLLAMA_KEEP_ALIVE"}}, facts).front().why,
              "the server was started with OLLAMA_KEEP_ALIVE=10s");
}

TEST(OptimizeView, AFlagMayBeGivenByItsVariable) {
    Facts facts = good_facts();
    facts.engine = facts.observed.engine = "llama-server";
    facts.version = facts.observed.version = "0.5.0";
    facts.observed.server = ObservedProcess{100, {"llama-server"}, {{"LLAMA_ARG_THREADS", "1"}}, true};
    const Expected wanted{"threads", "1", "flag", "--threads"};
    EXPECT_EQ(prove({wanted}, facts).front().state, ProofState::kVerified);
    facts.observed.server->words = {"llama-server", "-t", "2"};
    EXPECT_EQ(prove({wanted}, facts).front().state, ProofState::kNotApplied);
    EXPECT_EQ(prove({wanted}, facts).front().why, "the server was started with --threads 2");
    facts.observed.server->env.clear();
    facts.observed.server->words = {"llama-server"};
    EXPECT_EQ(prove({wanted}, facts).front().why, "the server was started without --threads");
}

TEST(OptimizeView, NoLineIsWrittenThatSomethingWinsOver) {
    Facts facts = good_facts();
    facts.engine = facts.observed.engine = "llama-server";
    facts.version = facts.observed.version = "0.5.0";
    facts.observed.server = ObservedProcess{100, {"llama-server", "-t", "9"}, {}, true};
    facts.settings = settings_of(facts.observed, facts.model, 0);
    const Plan plan = make_plan(facts);
    EXPECT_EQ(changes_of(plan), Texts{"R1 threads=8 flag --threads"});
    for (const Format format : {Format::kEnv, Format::kSystemd, Format::kDocker, Format::kPowershell}) {
        const std::string text = *render(plan, format);
        EXPECT_EQ(text.find("LLAMA_ARG_THREADS"), std::string::npos) << text;
        EXPECT_NE(text.find("threads has no line here, since -t 9 on the server's command line wins over a variable: "
                            "take  --format llama-server"),
                  std::string::npos)
            << text;
    }
    facts.observed.server->words = {"llama-server"};
    EXPECT_NE(render(make_plan(facts), Format::kEnv)->find("export LLAMA_ARG_THREADS='8'"), std::string::npos);

    Facts ollama = good_facts();
    ollama.limits.context_tokens = 8192;
    ollama.observed.modelfile = {{"num_ctx", "4096"}};
    const Plan model = make_plan(ollama);
    EXPECT_EQ(render(model, Format::kEnv)->find("OLLAMA_CONTEXT_LENGTH"), std::string::npos);
    EXPECT_NE(plan_text(model, false).find("add  -o Modelfile\n"), std::string::npos);
    EXPECT_NE(render(model, Format::kModelfile)->find("PARAMETER num_ctx 8192"), std::string::npos);
}

TEST(OptimizeView, ARequestsThreadsAreTheClientsToChange) {
    Facts facts = good_facts();
    facts.observed.models = {{facts.model, 4096, kTestGiB, 0}};
    facts.observed.worker = ObservedProcess{101, {"llama-server", "-t", "16"}, {}, true};
    facts.settings = settings_of(facts.observed, facts.model, 0);
    const Plan plan = make_plan(facts);
    EXPECT_EQ(changes_of(plan), Texts{"R1 advice"});
    EXPECT_EQ(plan.findings.front().advice,
              "Take it out of the client, or let it ask for 8: num_thread 16 that a client asks for.");
    EXPECT_NE(plan_text(plan, true).find("\nNothing to write: what is said above"), std::string::npos);
}

TEST(OptimizeView, RequestsCarryWhatIsTheirs) {
    Facts facts = good_facts();
    choose(facts, "keep_alive", "10s");
    choose(facts, "num_batch", "16");
    const auto request = nlohmann::json::parse(*render(make_plan(facts), Format::kRequest));
    EXPECT_EQ(request.at("keep_alive"), "5m");
    EXPECT_EQ(request.at("options"), (nlohmann::json{{"num_batch", 512}}));
    facts = good_facts();
    choose(facts, "parallel", "64");
    choose(facts, "num_ctx", "131072");
    Plan server = make_plan(facts);
    std::erase_if(server.findings, [](const Finding& finding) { return finding.rule != "R4"; });
    ASSERT_EQ(changes_of(server), Texts{"R4 parallel=1 environment OLLAMA_NUM_PARALLEL"});
    const auto none = render(server, Format::kRequest);
    ASSERT_FALSE(none);
    EXPECT_NE(none.error().message.find("No request can carry"), std::string::npos);
}

TEST(OptimizeView, FormatsOfServersAreNotForTheEmbeddedEngine) {
    Plan plan;
    plan.engine = "embedded";
    for (const Format format : {Format::kSystemd, Format::kDocker, Format::kLaunchd})
        EXPECT_FALSE(render(plan, format));
    EXPECT_TRUE(render(plan, Format::kEnv));
}

TEST(OptimizeView, ALimitThatCannotBeKeptIsNoGoodConfiguration) {
    Facts facts = good_facts();
    choose(facts, "num_ctx", "131072");
    facts.limits.context_tokens = 1'000'000;
    const Plan plan = make_plan(facts);
    EXPECT_TRUE(plan.changes().empty());
    EXPECT_FALSE(plan.judged());
    EXPECT_NE(plan_text(plan, true).find("what was asked for can't be reached"), std::string::npos);
    EXPECT_EQ(plan_text(plan, true).find("✓"), std::string::npos);
}

TEST(OptimizeView, NamesCannotSteerTheTerminal) {
    EXPECT_EQ(base::printable("a\x1b[31mb\nc\t\xc2\x9b\x7f é"), "a [31mb\nc     é");
    Facts facts = good_facts();
    facts.model = "evil\x1b[2Jmodel";
    EXPECT_EQ(plan_text(make_plan(facts), false).find('\x1b'), std::string::npos);
}

}  // namespace view_test
}  // namespace velollm::optimize
