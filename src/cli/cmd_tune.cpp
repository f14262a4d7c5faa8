#include "cli/cmd_tune.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <utility>

#include "backend/ollama_store_model.h"
#include "backend/set_option.h"
#include "backend/started_ollama.h"
#include "benchmark/arms.h"
#include "cli/ab_args.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "hardware/telemetry.h"
#include "optimize/rules.h"
#include "optimize/tune.h"
#include "optimize/tuned_file.h"

namespace velollm::cli {
namespace {

using optimize::Choice;
using optimize::Facts;
using optimize::SearchEnd;
using optimize::SearchResult;

constexpr std::int64_t kWarmUp = 2;
constexpr int kAtOnce = 8;  // clients of the profile batch
constexpr Ns kQuiet = std::chrono::seconds(2);
constexpr Ns kRest = std::chrono::seconds(30);
constexpr double kBusy = 0.10;
constexpr double kOtherWords = 0.5;  // of an answer: where less of it is alike, more than rounding is at work

class Tuner {
public:
    Tuner(const OptimizeArgs& args, const optimize::TuneBudget& budget, const Facts& facts,
          const system::System& system)
        : args_(args),
          budget_(budget),
          facts_(facts),
          system_(system),
          progress_(stderr_is_terminal() && !args.out.quiet) {}

    Result<optimize::Plan> run() {
        if (const auto found = choose_target(); !found) return found.error();
        const optimize::StagePlan stages = optimize::tune_stages(facts_, budget_, environment_);
        const std::string prompt = args_.prompt.empty() ? kPrompt : args_.prompt;
        for (const auto& [name, why] : stages.skipped) say(fmt::format("{}: not tried, {}", name, why));
        if (stages.stages.empty()) {
            auto plan = optimize::tuned_plan(facts_, {}, environment_, false);
            plan.outcome = "Nothing can be tried here.";
            say(plan.outcome);
            return plan;
        }
        BenchmarkConfig config{.name = "tune",
                               .model = "",
                               .prompt = prompt,
                               .max_tokens = 48,
                               .iterations = 1,
                               .context_depth = optimize::test_depth(facts_, budget_)};
        arms_.emplace(std::vector<TargetSpec>{base_}, config, kWarmUp, system_, facts_.hardware, clock_, interrupted);
        if (facts_.profile == optimize::Profile::kBatch) arms_->send_at_once(kAtOnce);
        arms_->load_each_time();
        if (const auto ready = arms_->connect(); !ready) return ready.error();
        preflight();
        const std::string key = optimize::tuned_key(facts_, prompt);
        auto result = search(stages, key);
        if (result) guard_answers(*result);
        arms_->leave();
        if (!result) return result.error();
        if (result->end == SearchEnd::kImproved && !interrupted()) optimize::keep_tuned(system_, key, result->best);
        // What was best once, and isn't any more, must not keep the next run from searching.
        if (result->end == SearchEnd::kNoImprovement && result->confirmed) optimize::forget_tuned(system_, key);
        return finish(*result);
    }

private:
    static constexpr const char* kPrompt =
        "Explain how a bicycle stays upright, and then write the same again for a child of six.";

    void say(const std::string& text) {
        progress_.clear();
        if (!args_.out.quiet) std::fprintf(stderr, "%s\n", text.c_str());
    }

    /// An engine of our own with the settings that are in force; where none can be started, the server that runs.
    Result<void> choose_target() {
        const int threads = optimize::threads_in_force(facts_);
        if (facts_.engine == "embedded") {
            base_.backend = "embedded";
            base_.model = args_.model;
            if (threads > 0) base_.options.num_thread = threads;
            return {};
        }
        if (facts_.engine == "llama-server") return choose_llama_server(threads);
        base_.backend = "ollama";
        base_.model = facts_.model;
        const auto binary = backend::find_ollama(system_);
        if (binary && backend::find_stored_model(system_, facts_.model)) {
            base_.own_server = environment_ = true;
            if (facts_.observed.server)
                for (const auto& [name, value] : facts_.observed.server->env) base_.server_env[name] = value;
            say("Ollama is started anew for this, beside one that runs, on a port of its own.");
            return {};
        }
        if (!facts_.observed.answering)
            return Error{ErrorCode::kUnreachable, "No Ollama can be started or asked",
                         binary ? "Its models can't be read here. Start it:  ollama serve" : binary.error().hint};
        base_.url = args_.url;
        say("The running Ollama is used: only settings of requests can be tried. Its model is loaded anew for each "
            "block.");
        return {};
    }

    Result<void> choose_llama_server(int threads) {
        base_.backend = "llamacpp";
        environment_ = true;
        if (facts_.observed.server) {
            const std::vector<std::string>& running = facts_.observed.server->words;
            base_.server_flags = optimize::flags_to_copy(running);
            // The same program, not another build of it.
            if (!facts_.observed.container && !running.empty() && std::filesystem::path(running.front()).is_absolute())
                base_.llama_server = running.front();
            base_.model = facts_.observed.model_file;
            if (base_.model.empty()) base_.model = optimize::flag_value(running, {"-m", "--model"}).value_or("");
            for (const auto& [name, value] : facts_.observed.server->env) base_.server_env[name] = value;
            say("A llama-server is started anew for this with the flags of the one that runs; where they name none, "
                "with one "
                "slot and a context of 4096.");
        }
        if (base_.model.empty()) base_.model = args_.model;
        if (base_.model.empty())
            return Error{ErrorCode::kUsage, "Which model? Its file isn't known",
                         "velollm optimize --tune -b llamacpp -m FILE.gguf"};
        if (threads > 0) base_.options.num_thread = threads;
        return {};
    }

    /// Tuning beside other work finds settings for that other work.
    void preflight() {
        const auto idle = arms_->watch_idle(kQuiet);
        if (idle && idle->busy_share.value_or(0.0) > kBusy)
            say(fmt::format(
                "Warning: the machine is not idle, {:.0f} % of its processors are in use. Close other programs, "
                "or trust the result less.",
                100.0 * *idle->busy_share));
        if (!facts_.observed.models.empty() && base_.own_server)
            say("Note: the running Ollama holds a model in memory; it isn't unloaded.");
    }

    /// The number of the arm with this choice, made when it is first asked for.
    Result<std::size_t> arm_of(const Choice& choice) {
        if (choice.empty()) return std::size_t{0};
        const auto known = arms_of_.find(choice);
        if (known != arms_of_.end()) return known->second;
        TargetSpec target = base_;
        for (const std::string& word : optimize::words_of(facts_, choice, environment_))
            if (const auto set = backend::set_option(target, word); !set) return set.error();
        const auto arm = arms_->add(std::move(target));
        if (arm) arms_of_[choice] = *arm;
        return arm;
    }

    Result<SearchResult> search(const optimize::StagePlan& stages, const std::string& key) {
        optimize::SearchPlan plan;
        plan.stages = stages.stages;
        plan.cost = optimize::cost_of(facts_.profile);
        plan.budget = budget_.time;
        plan.seed = args_.seed.value_or(system::random_u64() >> 32U);
        plan.heat_events = [&] { return hardware::read_sample(system_, {}, {}, clock_.now()).throttle_events; };
        plan.rest = [&] {
            for (const TimePoint end = clock_.now() + kRest; clock_.now() < end && !interrupted();)
                system::nap(std::chrono::milliseconds(100));
        };
        const TimePoint begin = clock_.now();
        std::optional<Choice> known;
        if (!args_.fresh) known = optimize::read_tuned(system_, key);
        if (known) {
            say("This machine, engine and model were tuned before: only the confirmation is made anew (--fresh "
                "searches).");
            plan.stages.clear();
            plan.start = *known;
        }
        say(fmt::format(
            "Some {:.0f} s at most, and what a confirmation needs; Ctrl-C tells what has won so far and changes "
            "nothing. Seed {}.",
            to_seconds(budget_.time), plan.seed));
        return optimize::search(
            plan,
            [&](const Choice& choice, std::size_t requests) -> Result<benchmark::Block> {
                const auto arm = arm_of(choice);
                if (!arm) return arm.error();
                return arms_->measure(*arm, requests);
            },
            clock_, interrupted,
            [&](const optimize::Notice& told) {
                const std::string line = fmt::format("{:>5.0f} s  {}", to_seconds(clock_.now() - begin), told.text);
                if (told.passing)
                    progress_.show(line);
                else
                    say(line);
            });
    }

    /// Settings that are said to leave answers alone must do so.
    void guard_answers(SearchResult& result) {
        if (result.best.empty() || interrupted()) return;
        const auto arm = arm_of(result.best);
        const auto before = arms_->answer(0);
        const auto after = arm ? arms_->answer(*arm) : Result<std::string>(arm.error());
        if (interrupted()) return;
        if (!before || !after) {
            say("Whether it answers alike could not be checked: " + (before ? after : before).error().message);
            if (result.end != SearchEnd::kImproved) return;
            result.end = SearchEnd::kTradeoff;
            result.worse = "its answers could not be compared";
            return;
        }
        const double alike = benchmark::common_share(*before, *after);
        if (alike == 1.0) {
            say("A fixed question is answered with the same words.");
            return;
        }
        say(fmt::format("A fixed question is answered alike for the first {:.0f} % of the text.", 100.0 * alike));
        if (alike < kOtherWords && !args_.allow_lossy && result.end == SearchEnd::kImproved) {
            result.end = SearchEnd::kTradeoff;
            result.worse = "answers change";
        }
    }

    /// What it came to. Nothing is changed by the search itself.
    optimize::Plan finish(const SearchResult& result) {
        const optimize::Plan plan = optimize::tuned_plan(facts_, result, environment_, args_.accept_tradeoffs);
        const bool confirmed = result.end == SearchEnd::kImproved || result.end == SearchEnd::kTradeoff;
        if (interrupted() && confirmed)
            say(fmt::format("Stopped: {} is confirmed, {:+.1f} %; nothing was changed.",
                            optimize::choice_words(result.best),
                            100.0 * (1.0 / result.confirmed->measured.judgement.factor - 1.0)));
        else if (result.end == SearchEnd::kStopped)
            say(result.best.empty()
                    ? "Stopped: nothing had won so far."
                    : fmt::format("Stopped: {} had won so far; nothing confirms it, and nothing was changed.",
                                  optimize::choice_words(result.best)));
        else if (!plan.outcome.empty())
            say(plan.outcome);
        return plan;
    }

    const OptimizeArgs& args_;
    optimize::TuneBudget budget_;
    const Facts& facts_;
    const system::System& system_;
    system::SteadyClock clock_;
    Progress progress_;
    TargetSpec base_;
    bool environment_ = false;
    std::optional<benchmark::Arms> arms_;
    std::map<Choice, std::size_t> arms_of_;
};

}  // namespace

Result<optimize::TuneBudget> read_tune_budget(const std::string& text) {
    if (const auto named = optimize::parse_budget(text)) return *named;
    const auto time = read_time("--budget", text);
    if (time) return optimize::TuneBudget{*time};
    return Error{ErrorCode::kUsage, time.error().message, "It is quick, normal, thorough, or a time such as 90s or 8m"};
}

Result<optimize::Plan> tune(const OptimizeArgs& args, const optimize::TuneBudget& budget, const optimize::Facts& facts,
                            const system::System& system) {
    auto plan = Tuner(args, budget, facts, system).run();
    if (plan && interrupted()) return Error{ErrorCode::kInterrupted, "Stopped", "Nothing was changed."};
    return plan;
}

}  // namespace velollm::cli
