#include "cli/cmd_apply.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <optional>
#include <utility>

#include "base/text.h"
#include "cli/apply_benchmark.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "optimize/apply.h"
#include "optimize/outputs.h"
#include "optimize/proof.h"
#include "optimize/service.h"

namespace velollm::cli {
namespace {

using optimize::Applied;

constexpr Ns kHealthLimit = std::chrono::seconds(60);

optimize::Target target_of(const Applied& applied) {
    return {applied.engine, applied.tag.empty() ? applied.model : applied.tag, applied.url, ""};
}

std::vector<optimize::Proof> prove_now(const Applied& applied, const system::System& system, Clock& clock) {
    return optimize::prove(applied.expected, optimize::gather(target_of(applied), {}, {}, system, clock));
}

/// What one run of --apply or --rollback does to the world, and tells of it.
class Worker {
public:
    explicit Worker(const system::System& system) : system_(system) {}

    optimize::Hands hands() {
        optimize::Hands hands;
        hands.restart = [this](const Applied& now) {
            (void)out_.print(fmt::format("Restarting {} ...\n", now.unit));
            return optimize::restart_service(now, system_, clock_);
        };
        hands.wait_healthy = [this](const Applied& now) {
            return optimize::wait_for_answer({now.engine, now.model, now.url, ""}, system_, clock_, kHealthLimit);
        };
        hands.make_tag = [this](const optimize::ApplyPlan& plan) -> Result<std::string> {
            const Applied& now = plan.journal;
            if (auto made = optimize::create_tag(now.url, now.tag, now.model, plan.parameters, system_, clock_); !made)
                return made.error();
            return optimize::tag_digest(now.url, now.tag, system_, clock_);
        };
        hands.find_tag = [this](const std::string& tag) { return optimize::tag_digest(url, tag, system_, clock_); };
        hands.remove_tag = [this](const std::string& tag) { return optimize::delete_tag(url, tag, system_, clock_); };
        hands.proof = [this](const Applied& now) { return prove(now); };
        hands.compare = [this](const Applied& now) { return compare(now); };
        return hands;
    }

    Result<void> measure_before(const Applied& now) {
        (void)out_.print("Measuring as it is ...\n");
        auto measured = measure_briefly(now.engine, now.model, now.url, system_);
        if (!measured) return measured.error();
        before_ = *measured;
        return {};
    }

    Out& out() { return out_; }
    system::SteadyClock& clock() { return clock_; }

    std::string url;

private:
    Result<void> prove(const Applied& now) {
        const optimize::Target target = target_of(now);
        if (now.engine == "ollama")
            if (auto loaded = optimize::load_model(now.url, target.model, system_, clock_); !loaded) return loaded;
        const auto proofs = prove_now(now, system_, clock_);
        (void)out_.print(optimize::proofs_text(proofs));
        const bool all = std::all_of(proofs.begin(), proofs.end(), [](const optimize::Proof& proof) {
            return proof.state == optimize::ProofState::kVerified;
        });
        if (all && !proofs.empty()) return {};
        return Error{ErrorCode::kFailed, "Not everything is verified to be in force", ""};
    }

    Result<void> compare(const Applied& now) {
        (void)out_.print("Measuring as it is now ...\n");
        const auto after = measure_briefly(now.engine, target_of(now).model, now.url, system_);
        if (!after) return after.error();
        (void)out_.print(comparison_text(before_, *after));
        if (!clearly_slower(before_, *after)) return {};
        return Error{ErrorCode::kFailed, "It is slower than before", ""};
    }

    const system::System& system_;
    system::SteadyClock clock_;
    Out out_;
    BriefResult before_;
};

/// What stands in the way of a change, from an earlier one.
Result<void> check_journal(const system::System& system) {
    const auto journal = optimize::read_journal(system);
    if (!journal) return journal.error();
    if (!*journal || (*journal)->over()) return {};
    const char* state = (*journal)->in_force() ? "is applied" : "was left half way";
    return Error{ErrorCode::kFailed, fmt::format("Plan {} {}", (*journal)->id, state),
                 "Go back first:  velollm optimize --rollback"};
}

std::string intent(const optimize::ApplyPlan& wanted) {
    std::string text;
    for (const optimize::FileChange& file : wanted.journal.files)
        text += fmt::format("  {} {}\n", file.existed ? "replace" : "write  ", file.path);
    if (!wanted.journal.tag.empty())
        text += fmt::format("  make    the model {} beside {}\n", wanted.journal.tag, wanted.journal.model);
    if (!wanted.journal.unit.empty())
        text += fmt::format("  restart {}: requests that run are broken off\n", wanted.journal.unit);
    return text;
}

Result<void> ask(const OptimizeArgs& args, Out& out) {
    if (args.yes) return {};
    if (::isatty(STDIN_FILENO) != 1)
        return Error{ErrorCode::kUsage, "Nobody can be asked: standard input is no terminal",
                     "Say it with  --apply --yes\nNothing was changed."};
    if (auto printed = out.print("Do it? [y/N] "); !printed) return printed;
    std::string answer;
    std::getline(std::cin, answer);
    answer = base::lower(base::trim(answer));
    if (answer == "y" || answer == "yes") return {};
    return Error{ErrorCode::kInterrupted, "Not done", "Nothing was changed."};
}

Result<void> do_apply(const OptimizeArgs& args, const optimize::Plan& plan, const optimize::Facts& facts,
                      const system::System& system) {
    if (facts.engine == "embedded")
        return Error{ErrorCode::kUsage, "There is nothing to apply it to: the embedded engine is this program",
                     "Write it instead:  velollm optimize -b embedded -o velollm.sh"};
    if (!facts.observed.answering)
        return Error{ErrorCode::kUnreachable, fmt::format("No server answers at {}", facts.observed.url),
                     "Start it first: what is applied is proved on the running server. Nothing was changed."};
    if (auto clear = check_journal(system); !clear) return clear;
    Worker worker(system);
    const optimize::Service service = optimize::find_service(facts.observed, system, worker.clock());
    auto wanted = optimize::prepare_apply(plan, service, facts.observed.url, system);
    if (!wanted) return wanted.error();
    wanted->journal.pid = ::getpid();
    worker.url = facts.observed.url;
    if (auto told = worker.out().print(intent(*wanted)); !told) return told;
    if (auto agreed = ask(args, worker.out()); !agreed) return agreed;
    if (auto measured = worker.measure_before(wanted->journal); !measured) return measured;
    if (interrupted()) return Error{ErrorCode::kInterrupted, "Interrupted", "Nothing was changed."};
    const auto applied = optimize::apply(*wanted, worker.hands(), system);
    if (!applied) return applied.error();
    if (!applied->tag.empty()) {
        if (auto told = worker.out().print(fmt::format("Use it as  {}\n", applied->tag)); !told) return told;
    }
    return worker.out().print(
        fmt::format("Plan {} is applied.   Look:  velollm optimize --status   Go back:  velollm "
                    "optimize --rollback\n",
                    applied->id));
}

}  // namespace

int apply_plan(const OptimizeArgs& args, const report::Console& console, const optimize::Plan& plan,
               const optimize::Facts& facts, const system::System& system) {
    Out out;
    if (const auto told = out.print(optimize::plan_text(plan, false) + "\n"); !told) return fail(console, told.error());
    if (plan.changes().empty()) return 0;
    const auto done = do_apply(args, plan, facts, system);
    return done ? 0 : fail(console, done.error());
}

int apply_status(const report::Console& console, const system::System& system) {
    const auto journal = optimize::read_journal(system);
    if (!journal) return fail(console, journal.error());
    Out out;
    std::string text;
    bool good = true;
    if (!*journal || (*journal)->over()) {
        text = *journal ? fmt::format("Nothing is applied: plan {} was rolled back.\n", (*journal)->id)
                        : "Nothing is applied.\n";
    } else if (const Applied& now = **journal; !now.in_force()) {
        good = false;
        text =
            fmt::format("Plan {} was left half way, at the step \"{}\" ({}).\nGo back:  velollm optimize --rollback\n",
                        now.id, now.step, now.state);
    } else {
        system::SteadyClock clock;
        text = fmt::format("Plan {}, applied {} to {}\n", now.id, now.created, now.url);
        const auto changed = optimize::changed_since(now);
        for (const std::string& line : changed) text += fmt::format("  changed: {}\n", line);
        for (const optimize::FileChange& file : now.files) {
            std::error_code error;
            if (std::filesystem::exists(file.path, error)) continue;
            text += fmt::format("  changed: {} is gone\n", file.path);
            good = false;
        }
        const optimize::Facts facts = optimize::gather(target_of(now), {}, {}, system, clock);
        if (!facts.version.empty() && facts.version != now.version)
            text += fmt::format("  {} was {} and is {}: plan anew after  velollm optimize --rollback\n", now.engine,
                                now.version, facts.version);
        const auto proofs = optimize::prove(now.expected, facts);
        text += optimize::proofs_text(proofs);
        good = good && changed.empty() && std::none_of(proofs.begin(), proofs.end(), [](const optimize::Proof& proof) {
                   return proof.state == optimize::ProofState::kNotApplied;
               });
    }
    const auto told = out.print(text);
    return !told ? fail(console, told.error()) : good ? 0 : 1;
}

int apply_rollback(const OptimizeArgs& args, const report::Console& console, const system::System& system) {
    auto journal = optimize::read_journal(system);
    if (!journal) return fail(console, journal.error());
    Worker worker(system);
    if (!*journal || (*journal)->over()) {
        if (!args.rollback_id.empty())
            return fail(console, {ErrorCode::kUsage, fmt::format("Plan {} isn't applied", args.rollback_id),
                                  "Nothing is. See  velollm optimize --status"});
        const auto told = worker.out().print("Nothing to roll back.\n");
        return told ? 0 : fail(console, told.error());
    }
    Applied& applied = **journal;
    if (!args.rollback_id.empty() && args.rollback_id != applied.id)
        return fail(console, {ErrorCode::kUsage, fmt::format("Plan {} isn't what is applied", args.rollback_id),
                              fmt::format("It is {}:  velollm optimize --rollback", applied.id)});
    worker.url = applied.url;
    if (const auto back = optimize::roll_back(applied, worker.hands(), system); !back)
        return fail(console, back.error());
    const auto told = worker.out().print(fmt::format("Plan {} is rolled back: everything is as it was.\n", applied.id));
    return told ? 0 : fail(console, told.error());
}

}  // namespace velollm::cli
