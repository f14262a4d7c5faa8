#include <fmt/core.h>

#include <array>
#include <map>
#include <utility>

#include "backend/options.h"
#include "backend/set_option.h"
#include "base/text.h"
#include "benchmark/arms.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/version.h"
#include "hardware/detect.h"
#include "report/ab_report.h"

namespace velollm::cli {
namespace {

constexpr int kSlower = 10;
constexpr int kCannotTell = 11;

Result<TargetSpec> side_of(const AbArgs& args, const std::vector<std::string>& words, const system::System& system) {
    TargetSpec target = args.target;
    for (const std::string& word : words)
        if (const auto set = backend::set_option(target, word); !set) return set.error();
    target.own_server = backend::takes_own_ollama(target);
    if (const auto taken = backend::take_environment(target, system); !taken) return taken.error();
    return target;
}

/// One environment of a server beside another one without is no comparison: both are started here.
void match_servers(TargetSpec& a, TargetSpec& b) {
    if (a.backend == "ollama" && b.backend == "ollama" && a.url.empty() && b.url.empty())
        a.own_server = b.own_server = a.own_server || b.own_server;
}

int verdict_code(const benchmark::AbResult& result, double delta) {
    const stats::Judgement& judged = result.judgement;
    switch (judged.decision) {
        case stats::Decision::kFaster:
        case stats::Decision::kSame: return 0;
        case stats::Decision::kSlower: return kSlower;
        case stats::Decision::kUnclear: return kCannotTell;
        case stats::Decision::kSmall: break;
    }
    // A small change for the worse that may be larger than the limit is an open question.
    const double worst = result.higher_is_better ? judged.interval->low : 1.0 / judged.interval->high;
    return worst * (1.0 + delta) < 1.0 ? kCannotTell : 0;
}

class Command {
public:
    Command(const AbArgs& args, const system::System& system)
        : args_(args),
          system_(system),
          console_(style_of(args.out, system)),
          progress_(stderr_is_terminal() && !args.out.quiet) {}

    int run() {
        if (!args_.out.output.empty() && args_.out.output != "-")
            if (const auto writable = system::check_writable(args_.out.output); !writable)
                return fail(console_, writable.error());
        auto a = side_of(args_, args_.a, system_);
        if (!a) return fail(console_, a.error());
        auto b = side_of(args_, args_.null_test ? args_.a : args_.b, system_);
        if (!b) return fail(console_, b.error());
        match_servers(*a, *b);
        const Hardware hardware = hardware::detect_this_machine(system_);
        system::SteadyClock clock;
        benchmark::Arms arms({*a, *b}, args_.config, args_.warm_up, system_, hardware, clock, interrupted);
        origins_ = {a->options.origin, b->options.origin};
        const auto result = measure(arms, clock);
        arms.leave();
        progress_.clear();
        if (!result) return fail(console_, result.error());
        return finish(*result);
    }

private:
    Result<benchmark::AbResult> measure(benchmark::Arms& arms, Clock& clock) {
        progress_.show("Connecting...");
        if (const auto connected = arms.connect(); !connected) return connected.error();
        progress_.show("Watching the idle machine...");
        if (args_.quiet_check > Ns{0}) context_.before = arms.watch_idle(args_.quiet_check);
        if (interrupted()) return Error{ErrorCode::kInterrupted, "Stopped before the first pair", ""};
        plan_ = args_.plan;
        plan_.reload = arms.reloads();
        plan_.seed = args_.seed.value_or(system::random_u64() >> 32U);
        take_context(arms);
        if (const auto said = say(report::ab_opening(plan_, context_)); !said) return said.error();
        progress_.show("  pair 1...");
        Result<void> printed;
        auto result = benchmark::run_ab(
            plan_, [&](std::size_t side, std::size_t requests) { return arms.measure(side, requests); }, clock,
            [&] { return interrupted() || out_.closed(); },
            [&](const benchmark::AbResult& so_far) {
                if (auto said = say(report::ab_pair(plan_, so_far)); !said) printed = said;
                progress_.show(fmt::format("  pair {}...", so_far.pairs.size() + 1));
            });
        if (!result) return result;
        if (!printed) return printed.error();
        context_.notes = arms.notes();
        if (!interrupted() && !args_.null_test && !result->error) compare_answers(arms);
        return result;
    }

    /// Settings that are said to be lossless should give the same words.
    void compare_answers(benchmark::Arms& arms) {
        progress_.show("Comparing the answers...");
        const auto a = arms.answer(0);
        const auto b = arms.answer(1);
        if (a && b) context_.common_text = benchmark::common_share(*a, *b);
    }

    void take_context(const benchmark::Arms& arms) {
        const TargetInfo& info = arms.info(0);
        const TargetInfo& other = arms.info(1);
        const auto name = [](const TargetInfo& one) {
            return one.display_name + (one.version.empty() ? "" : " " + one.version);
        };
        context_.words = {backend::option_words(args_.a), backend::option_words(args_.null_test ? args_.a : args_.b)};
        context_.engine = name(info) == name(other) ? name(info) : name(info) + " and " + name(other);
        context_.model = info.model == other.model ? info.model : info.model + " and " + other.model;
        if (!info.quantization.empty() && info.model == other.model) context_.model += " " + info.quantization;
        context_.version = tool_version();
        context_.started_at = system::utc_timestamp(system::unix_now_ms() / 1000);
        context_.seed = plan_.seed;
        context_.max_tokens = args_.config.max_tokens;
        context_.warm_up = args_.warm_up;
        context_.null_test = args_.null_test;
        for (std::size_t side = 0; side < 2; ++side)
            for (const auto& [option, variable] : origins_[side]) {
                const auto& settings = arms.info(side).settings;
                const auto value = settings.find(option);
                if (value != settings.end())
                    context_.from_environment[side].push_back({option, value->second, variable});
            }
    }

    bool as_text() const {
        const std::string& format = args_.out.format;
        return !args_.json && args_.out.output != "-" && (format.empty() || format == "text");
    }

    Result<void> say(const std::string& text) {
        progress_.clear();
        return as_text() && !args_.out.quiet ? out_.print(text) : Result<void>();
    }

    int finish(const benchmark::AbResult& result) {
        const std::string json = report::ab_json(plan_, result, context_);
        const std::string text = args_.out.format == "md" ? report::ab_markdown(plan_, result, context_)
                                                          : report::ab_verdict(plan_, result, context_);
        const bool to_file = !args_.out.output.empty() && args_.out.output != "-";
        if (to_file)
            if (const auto printed = out_.print(args_.json || args_.out.format == "json" ? json : text); !printed)
                return fail(console_, printed.error());
        const bool markdown_file = to_file && !args_.json && base::lower(args_.out.output).ends_with(".md");
        const std::string kept = markdown_file ? report::ab_markdown(plan_, result, context_) : json;
        const int code = hand_over(args_.out, console_, kept, text, args_.json);
        if (code != 0) return code;
        if (interrupted()) return exit_code(ErrorCode::kInterrupted);
        if (result.error) return fail(console_, *result.error);
        if (result.judgement.n == 0 || result.end == benchmark::AbEnd::kFailing)
            return exit_code(ErrorCode::kNoValidResult);
        return verdict_code(result, args_.plan.limits.delta);
    }

    const AbArgs& args_;
    const system::System& system_;
    report::Console console_;
    Progress progress_;
    Out out_;
    benchmark::AbPlan plan_;
    std::array<std::map<std::string, std::string>, 2> origins_;
    report::AbContext context_;
};

}  // namespace

int cmd_ab(const AbArgs& args, const system::System& system) {
    return Command(args, system).run();
}

}  // namespace velollm::cli
