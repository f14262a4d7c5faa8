#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <deque>

#include "backend/options.h"
#include "benchmark/session.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/learn_speed.h"
#include "cli/plan.h"
#include "cli/result_output.h"
#include "cli/side_by_side.h"
#include "hardware/detect.h"
#include "report/depths_text.h"

namespace velollm::cli {
namespace {

/// The command from its start to its exit code.
class Command {
public:
    Command(BenchmarkArgs args, Plan plan, const system::System& system)
        : args_(std::move(args)),
          plan_(std::move(plan)),
          system_(system),
          console_(style_of(args_.out, system), args_.force),
          output_(args_.out),
          session_(args_.target, system, hardware::detect_this_machine(system), args_.protocol, clock_,
                   [this] { return stopped(); }) {
        shared_ = first_context(args_, plan_, session_.hardware(), system);
    }

    int run() {
        const auto done = run_all();
        if (!done && results_.empty()) return output_.end(console_, done.error());
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
        if (const auto ready = prepare(plan_.configs.front(), true); !ready) return ready;
        if (const auto said = output_.say(console_.running(plan_.configs.size())); !said) return said;
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
        output_.progress().show("Connecting...");
        auto connected = session_.connect(config.model);
        // The title names the model that is used, which for a default the connection tells.
        const std::string model = connected                     ? connected->model
                                  : !config.model.empty()       ? config.model
                                  : !args_.target.model.empty() ? args_.target.model
                                                                : kDefaultModel;
        if (!connected && connected.error().code == ErrorCode::kUsage) return connected.error();
        const std::string engine = connected ? connected->display_name : engine_name(args_.target.backend);
        if (first) {
            if (const auto said = output_.say(console_.opening(args_.target.backend, model)); !said) return said;
        }
        if (const auto said = output_.say(console_.checking(engine) + console_.available(connected.has_value())); !said)
            return said;
        if (!connected) return connected.error();

        output_.progress().show("Loading the model, warming up, watching the idle machine...");
        const auto prepared = session_.prepare(config, args_.reload);
        if (!prepared) return prepared.error();
        add_preparation(context, *prepared);
        return output_.say(console_.engine(context));
    }

    Result<void> measure(const BenchmarkConfig& config) {
        if (const auto said = output_.say(console_.begin(config)); !said) return said;
        std::size_t index = 0;
        Result<void> printed;
        const auto show = [&] {
            const auto left = config.iterations - static_cast<std::int64_t>(index);
            if (left > 0)
                output_.progress().measure(fmt::format("  Iteration {}/{}...", index + 1, config.iterations), left);
        };
        const auto on_request = [&](const RequestRecord& record) {
            if (auto said = output_.say(console_.iteration(index, config.iterations, record)); !said) printed = said;
            ++index;
            show();
        };
        show();
        results_.push_back(session_.measure(config, on_request, &output_.progress().counters()));
        reported_.emplace_back(&contexts_.back(), &results_.back());
        if (!printed) return printed;
        if (const auto said = output_.say(console_.end(contexts_.back(), results_.back())); !said) return said;
        if (const auto saved = output_.save(reported_); !saved) return saved;
        if (session_.lost()) return *session_.lost();
        return {};
    }

    std::string results_text() const {
        const std::vector<BenchmarkResult> results(results_.begin(), results_.end());
        std::string text = console_.summary(results);
        if (!args_.depths.empty()) text += report::depths_text(results, args_.force);
        if (!learnt_.empty()) text += learnt_ + "\n";
        text += console_.warnings(results, args_.out.verbose);
        return args_.out.verbose ? text + console_.metrics(results, shared_.self_test) : text;
    }

    BenchmarkArgs args_;
    Plan plan_;
    const system::System& system_;
    report::Console console_;
    ResultOutput output_;
    system::SteadyClock clock_;
    benchmark::Session session_;
    report::Context shared_;
    std::deque<report::Context> contexts_;  // deques: the reported pairs point into them
    std::deque<BenchmarkResult> results_;
    std::vector<report::ReportedResult> reported_;
    std::string learnt_;  ///< what the results made of earlier forecasts
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
