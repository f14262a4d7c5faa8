#include <fmt/core.h>

#include <algorithm>
#include <deque>
#include <memory>

#include "backend/options.h"
#include "benchmark/side_by_side.h"
#include "cli/interrupt.h"
#include "cli/learn_speed.h"
#include "cli/result_output.h"
#include "cli/side_by_side.h"
#include "hardware/detect.h"
#include "report/engines_text.h"

namespace velollm::cli {
namespace {

/// The address of -b's entry `name`: --ollama-url is Ollama's; --url goes to a server that must have it, else to
/// llama-server, else to Ollama.
std::string url_of(const BenchmarkArgs& args, const std::string& name) {
    const auto listed = [&](const char* other) {
        return std::find(args.backends.begin(), args.backends.end(), other) != args.backends.end();
    };
    const std::string takes_url = listed("openai") ? "openai" : listed("llamacpp") ? "llamacpp" : "ollama";
    if (name == takes_url && !(name == "ollama" && !args.ollama_url.empty())) return args.target.url;
    return name == "ollama" ? args.ollama_url : "";
}

Result<TargetSpec> target_of(const BenchmarkArgs& args, const std::string& name, const system::System& system) {
    TargetSpec target = args.target;
    target.backend = name;
    target.url = url_of(args, name);
    if (name == "openai") target.endpoint = "completions";
    if (name != "openai") target.tokenizer.clear();
    target.own_server = backend::takes_own_ollama(target);
    if (name != "llamacpp") target.llama_server.clear();
    if (name != "llamacpp" && name != "embedded" && !target.own_server) target.draft.clear();
    if (const auto taken = backend::take_environment(target, system); !taken) return taken.error();
    return target;
}

class Command {
public:
    Command(BenchmarkArgs args, Plan plan, std::vector<TargetSpec> targets, const system::System& system)
        : args_(std::move(args)),
          plan_(std::move(plan)),
          targets_(std::move(targets)),
          system_(system),
          console_(style_of(args_.out, system), args_.force),
          output_(args_.out),
          hardware_(hardware::detect_this_machine(system)) {}

    int run() {
        const auto done = run_all();
        if (!done && reported_.empty()) return output_.end(console_, done.error());
        learnt_ = learn_speed(reported_, system_);
        const auto shown = output_.finish(reported_, console_, [this] { return results_text(); });
        if (!done) return output_.end(console_, done.error());
        if (!shown) return output_.end(console_, shown.error());
        if (interrupted()) return exit_code(ErrorCode::kInterrupted);
        if (output_.unheard()) return 0;
        return all_valid(reported_) ? 0 : exit_code(ErrorCode::kNoValidResult);
    }

private:
    bool stopped() const { return interrupted() || output_.unheard(); }

    Result<void> run_all() {
        std::string model = plan_.configs.front().model;
        for (const BenchmarkConfig& config : plan_.configs) {
            if (config.model != model)
                return Error{ErrorCode::kUsage, "A suite for several backends has one model",
                             "Name it with -m, or run a suite for each model."};
        }
        std::string names;
        for (const std::string& name : args_.backends) names += (names.empty() ? "" : ", ") + name;
        if (model.empty()) model = args_.target.model.empty() ? kDefaultModel : args_.target.model;
        if (const auto said = output_.say(console_.opening(names, model)); !said) return said;
        for (std::size_t i = 0; i < targets_.size(); ++i)
            if (const auto ready = prepare(i); !ready) return ready;
        if (const auto same = check_same_weights(); !same) return same;
        if (const auto said = output_.say(choose_frame()); !said) return said;
        if (const auto said = output_.say(console_.running(plan_.configs.size())); !said) return said;
        for (const BenchmarkConfig& config : plan_.configs) {
            if (const auto measured = measure(config); !measured) return measured;
            if (stopped()) break;
        }
        return {};
    }

    Result<void> prepare(std::size_t index) {
        const TargetSpec& target = targets_[index];
        benchmark::Protocol protocol = args_.protocol;
        // One look at the idle machine is enough: when the last engine is ready.
        if (index + 1 < targets_.size()) protocol.quiet_check = Ns{0};
        sessions_.push_back(std::make_unique<benchmark::Session>(target, system_, hardware_, protocol, clock_,
                                                                 [this] { return stopped(); }));
        benchmark::Session& session = *sessions_.back();
        contexts_.push_back(first_context(args_, plan_, hardware_, system_));
        report::Context& context = contexts_.back();
        if (index > 0) context.run_id = contexts_.front().run_id;
        context.options = target.options;
        output_.progress().show("Connecting...");
        const auto connected = session.connect(plan_.configs.front().model);
        const std::string name = connected ? connected->display_name : engine_name(target.backend);
        if (const auto said = output_.say(console_.checking(name) + console_.available(connected.has_value())); !said)
            return said;
        if (!connected) return connected.error();
        output_.progress().show("Loading the model, warming up...");
        const auto prepared = session.prepare(plan_.configs.front(), args_.reload);
        if (!prepared) return prepared.error();
        add_preparation(context, *prepared);
        context.path = session.path_times(plan_.configs.front());
        for (const std::string& other : args_.backends)
            if (other != target.backend) context.beside.push_back(other);
        return output_.say(console_.engine(context));
    }

    /// Each engine has its own idea of the chat template, and would read other tokens. So all get bare text, and in it
    /// the form that the first engine knows.
    std::string choose_frame() {
        for (const report::Context& context : contexts_) {
            const LoadedModel& loaded = context.loaded;
            if (loaded.prompt_prefix.empty() && loaded.prompt_suffix.empty()) continue;
            frame_ = {loaded.prompt_prefix, loaded.prompt_suffix};
            for (report::Context& other : contexts_) other.target.settings["prompt_template"] = context.target.kind;
            return fmt::format("Every engine gets the same bare text, in the chat template of {}\n",
                               context.target.kind);
        }
        return "Every engine gets the same bare text, without a chat template\n";
    }

    /// Engines that run different weights are not compared.
    Result<void> check_same_weights() const {
        const report::Context* known = nullptr;
        for (const report::Context& context : contexts_) {
            if (context.target.digest.empty()) continue;
            if (known != nullptr && known->target.digest != context.target.digest)
                return Error{ErrorCode::kUsage,
                             fmt::format("{} and {} have different weights: {:.12} and {:.12}", known->target.kind,
                                         context.target.kind, known->target.digest, context.target.digest),
                             "Name a model that all of them have, e.g. one of the local Ollama store."};
            known = &context;
        }
        return {};
    }

    Result<void> measure(const BenchmarkConfig& config) {
        const auto engines = sessions_.size();
        if (const auto said = output_.say(fmt::format("Running benchmark: {} ({} rounds, each engine once a round)\n",
                                                      config.name, config.iterations));
            !said)
            return said;
        std::vector<benchmark::Session*> sessions;
        for (const auto& session : sessions_) sessions.push_back(session.get());
        std::size_t turns = 0;
        Result<void> printed;
        const auto on_turn = [&](std::size_t round, std::size_t engine, const RequestRecord& record) {
            std::string line = console_.iteration(round, config.iterations, record);
            line.insert(line.find("... ") + 4, contexts_[engine].target.kind + " ");
            line.replace(line.find("Iteration"), 9, "Round");
            if (auto said = output_.say(line); !said) printed = said;
            ++turns;
            output_.progress().show(
                fmt::format("  {} of {} requests...", turns, config.iterations * static_cast<std::int64_t>(engines)));
        };
        const std::size_t begin = results_.size();
        for (BenchmarkResult& result : benchmark::measure_side_by_side(
                 sessions, config, frame_, system_, clock_, [this] { return stopped(); }, on_turn))
            results_.push_back(std::move(result));
        std::vector<report::ReportedResult> now;
        for (std::size_t i = 0; i < engines; ++i) now.emplace_back(&contexts_[i], &results_[begin + i]);
        reported_.insert(reported_.end(), now.begin(), now.end());
        if (!printed) return printed;
        if (const auto said = output_.say("\n" + report::engines_text(now, args_.force)); !said) return said;
        if (const auto saved = output_.save(reported_); !saved) return saved;
        for (const auto& session : sessions_)
            if (session->lost()) return *session->lost();
        return {};
    }

    std::string results_text() const {
        std::vector<BenchmarkResult> named;
        for (const auto& [context, result] : reported_) {
            named.push_back(*result);
            named.back().config.name = fmt::format("{}, {}", result->config.name, context->target.kind);
        }
        std::string text = output_.narrates() ? "" : tables();
        if (!learnt_.empty()) text += learnt_ + "\n";
        text += console_.warnings(named, args_.out.verbose);
        return args_.out.verbose ? text + console_.metrics(named, contexts_.front().self_test) : text;
    }

    /// All tables, for a reader who wanted the results only.
    std::string tables() const {
        std::string text;
        for (std::size_t i = 0; i < reported_.size(); i += sessions_.size()) {
            const auto from = reported_.begin() + static_cast<std::ptrdiff_t>(i);
            text += reported_[i].second->config.name + ":\n" +
                    report::engines_text({from, from + static_cast<std::ptrdiff_t>(sessions_.size())}, args_.force);
        }
        return text;
    }

    BenchmarkArgs args_;
    Plan plan_;
    std::vector<TargetSpec> targets_;
    const system::System& system_;
    report::Console console_;
    ResultOutput output_;
    system::SteadyClock clock_;
    benchmark::PromptFrame frame_;
    Hardware hardware_;
    std::vector<std::unique_ptr<benchmark::Session>> sessions_;
    std::deque<report::Context> contexts_;  // deques: the reported pairs point into them
    std::deque<BenchmarkResult> results_;
    std::vector<report::ReportedResult> reported_;
    std::string learnt_;  ///< what the results made of earlier forecasts
};

}  // namespace

int cmd_side_by_side(BenchmarkArgs args, Plan plan, const system::System& system) {
    const report::Console console(style_of(args.out, system));
    std::vector<TargetSpec> targets;
    for (const std::string& name : args.backends) {
        auto target = target_of(args, name, system);
        if (!target) return fail(console, target.error());
        make_room(*target, plan);
        targets.push_back(std::move(*target));
    }
    return Command(std::move(args), std::move(plan), std::move(targets), system).run();
}

}  // namespace velollm::cli
