#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <deque>

#include "backend/options.h"
#include "benchmark/session.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/plan.h"
#include "cli/progress.h"
#include "cli/side_by_side.h"
#include "hardware/detect.h"
#include "report/depths_text.h"
#include "report/result_json.h"
#include "report/table.h"

namespace velollm::cli {
namespace {

/// The command from its start to its exit code.
class Command {
public:
    Command(BenchmarkArgs args, Plan plan, const system::System& system)
        : args_(std::move(args)),
          plan_(std::move(plan)),
          console_(style_of(args_.out, system), args_.force),
          progress_(stderr_is_terminal() && !args_.out.quiet),
          session_(args_.target, system, hardware::detect_this_machine(system), args_.protocol, clock_,
                   [this] { return stopped(); }) {
        shared_ = first_context(args_, plan_, session_.hardware(), system);
    }

    int run() {
        const auto done = run_all();
        progress_.clear();
        if (!done && results_.empty()) return end(done.error());
        const auto shown = show_results();
        if (!done) return end(done.error());
        if (!shown) return end(shown.error());
        if (interrupted()) return exit_code(ErrorCode::kInterrupted);
        if (unheard()) return 0;
        return all_valid() ? 0 : exit_code(ErrorCode::kNoValidResult);
    }

private:
    /// The reader of standard output has gone, and nothing is to be written elsewhere: going on has no purpose.
    bool unheard() const { return out_.closed() && (args_.out.output.empty() || args_.out.output == "-"); }
    bool stopped() const { return interrupted() || unheard(); }

    bool narrates() const {
        return (args_.out.format.empty() || args_.out.format == "text") && args_.out.output != "-" && !args_.out.quiet;
    }

    Result<void> say(const std::string& text) {
        progress_.clear();
        return narrates() ? out_.print(text) : Result<void>();
    }

    int end(const Error& error) {
        if (error.code == ErrorCode::kInterrupted && unheard() && !interrupted()) return 0;
        return fail(console_, error);
    }

    Result<void> run_all() {
        if (const auto ready = prepare(plan_.configs.front(), true); !ready) return ready;
        if (const auto said = say(console_.running(plan_.configs.size())); !said) return said;
        std::string model = plan_.configs.front().model;
        for (const BenchmarkConfig& config : plan_.configs) {
            if (config.model != model) {
                if (const auto ready = prepare(config, false); !ready) return ready;
                model = config.model;
            }
            if (const auto measured = measure(config); !measured) return measured;
            if (stopped()) break;
        }
        return {};
    }

    /// Connects to a model and makes it ready; the first time with the title above.
    Result<void> prepare(const BenchmarkConfig& config, bool first) {
        contexts_.push_back(shared_);
        report::Context& context = contexts_.back();
        progress_.show("Connecting...");
        auto connected = session_.connect(config.model);
        // The title names the model that is used, which for a default the connection tells.
        const std::string model = connected                     ? connected->model
                                  : !config.model.empty()       ? config.model
                                  : !args_.target.model.empty() ? args_.target.model
                                                                : kDefaultModel;
        if (!connected && connected.error().code == ErrorCode::kUsage) return connected.error();
        const std::string engine = connected ? connected->display_name : engine_name(args_.target.backend);
        if (first) {
            if (const auto said = say(console_.opening(args_.target.backend, model)); !said) return said;
        }
        if (const auto said = say(console_.checking(engine) + console_.available(connected.has_value())); !said)
            return said;
        if (!connected) return connected.error();

        progress_.show("Loading the model, warming up, watching the idle machine...");
        const auto prepared = session_.prepare(config, args_.reload);
        if (!prepared) return prepared.error();
        add_preparation(context, *prepared);
        return say(console_.engine(context));
    }

    Result<void> measure(const BenchmarkConfig& config) {
        if (const auto said = say(console_.begin(config)); !said) return said;
        std::size_t index = 0;
        Result<void> printed;
        const auto show = [&] {
            const auto left = config.iterations - static_cast<std::int64_t>(index);
            if (left > 0) progress_.measure(fmt::format("  Iteration {}/{}...", index + 1, config.iterations), left);
        };
        const auto on_request = [&](const RequestRecord& record) {
            if (auto said = say(console_.iteration(index, config.iterations, record)); !said) printed = said;
            ++index;
            show();
        };
        show();
        results_.push_back(session_.measure(config, on_request, &progress_.counters()));
        reported_.emplace_back(&contexts_.back(), &results_.back());
        if (!printed) return printed;
        if (const auto said = say(console_.end(contexts_.back(), results_.back())); !said) return said;
        if (const auto saved = save(); !saved) return saved;
        if (session_.lost()) return *session_.lost();
        return {};
    }

    /// After every benchmark, so that a later failure or a kill loses nothing.
    Result<void> save() const {
        if (args_.out.output.empty() || args_.out.output == "-") return {};
        return system::write_file_atomic(args_.out.output, report::result_json(reported_));
    }

    Result<void> show_results() {
        const std::string& format = args_.out.format;
        if (args_.out.output == "-" || format == "json") return out_.print(report::result_json(reported_));
        if (format == "csv") return out_.print(report::result_csv(reported_));
        if (format == "md") return out_.print(report::result_markdown(reported_));
        const std::vector<BenchmarkResult> results(results_.begin(), results_.end());
        std::string text = console_.summary(results);
        if (!args_.depths.empty()) text += report::depths_text(results);
        text += console_.warnings(results, args_.out.verbose);
        if (args_.out.verbose) text += console_.metrics(results, shared_.self_test);
        if (!args_.out.quiet) text += args_.out.output.empty() ? console_.tip() : console_.saved(args_.out.output);
        return out_.print(text);
    }

    bool all_valid() const {
        return std::all_of(results_.begin(), results_.end(),
                           [](const BenchmarkResult& result) { return result.summary.verdict != Verdict::kInvalid; });
    }

    BenchmarkArgs args_;
    Plan plan_;
    report::Console console_;
    Out out_;
    system::SteadyClock clock_;
    Progress progress_;
    benchmark::Session session_;
    report::Context shared_;
    std::deque<report::Context> contexts_;  // deques: the reported pairs point into them
    std::deque<BenchmarkResult> results_;
    std::vector<report::ReportedResult> reported_;
};

}  // namespace

int cmd_benchmark(BenchmarkArgs args, const system::System& system) {
    const report::Console console(style_of(args.out, system));
    auto plan = make_plan(args);
    if (!plan) return fail(console, plan.error());
    if (!args.out.output.empty() && args.out.output != "-") {
        if (const auto writable = system::check_writable(args.out.output); !writable)
            return fail(console, writable.error());
    }
    if (!args.backends.empty()) return cmd_side_by_side(std::move(args), std::move(*plan), system);
    if (const auto taken = backend::take_environment(args.target, system); !taken) return fail(console, taken.error());
    make_room(args.target, *plan);
    return Command(std::move(args), std::move(*plan), system).run();
}

}  // namespace velollm::cli
