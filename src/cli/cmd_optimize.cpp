#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include "backend/make_backend.h"
#include "base/text.h"
#include "cli/cmd_apply.h"
#include "cli/cmd_tune.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "optimize/observe.h"
#include "optimize/outputs.h"
#include "optimize/plan.h"
#include "optimize/proof.h"
#include "optimize/quote.h"
#include "wire/url.h"

namespace velollm::cli {
namespace fs = std::filesystem;

namespace {

using optimize::Format;
using optimize::ProofState;

/// "8G", "8GiB", "8192 MiB", "8000000000".
Result<std::int64_t> read_size(const std::string& text) {
    const std::string word = base::lower(base::trim(text));
    const std::size_t digits = std::min(word.find_first_not_of("0123456789."), word.size());
    const auto number = base::parse_double(word.substr(0, digits));
    const std::string unit(base::trim(std::string_view(word).substr(digits)));
    double factor = 0.0;
    if (unit.empty() || unit == "b") factor = 1.0;
    if (unit == "m" || unit == "mib") factor = 1024.0 * 1024.0;
    if (unit == "g" || unit == "gib") factor = 1024.0 * 1024.0 * 1024.0;
    if (unit == "mb") factor = 1e6;
    if (unit == "gb") factor = 1e9;
    constexpr double kMost = 1e15;
    if (number && factor > 0.0 && *number > 0.0 && *number * factor < kMost)
        return static_cast<std::int64_t>(*number * factor);
    return Error{ErrorCode::kUsage, fmt::format("--max-vram {} is no size", base::one_line(text, 80)),
                 "Write it as 8G, 8GiB, or 8192M."};
}

fs::path stored_file(const system::System& system, const std::string& engine) {
    return system::state_folder(system) / fmt::format("optimize-{}.json", engine);
}

std::optional<optimize::StoredPlan> stored_plan(const system::System& system, const std::string& engine) {
    const auto text = system::read_file(stored_file(system, engine));
    return text ? optimize::read_stored_plan(*text) : std::nullopt;
}

/// What --check compares later. That it can't be kept is no reason to fail.
void keep(const optimize::Plan& plan, const system::System& system) {
    if (plan.changes().empty() || !system::make_folder(system::state_folder(system))) return;
    const std::string text = optimize::plan_json(plan, 2, system::utc_timestamp(system::unix_now_ms() / 1000), nullptr);
    (void)system::write_file_atomic(stored_file(system, plan.engine), text + "\n");
}

/// What the last plan wanted, then what else the server was given.
std::vector<optimize::Expected> to_check(const std::optional<optimize::StoredPlan>& stored,
                                         const optimize::Facts& facts) {
    std::vector<optimize::Expected> all;
    if (stored && (stored->model == facts.model || optimize::velo_tag(stored->model) == facts.model))
        all = stored->expected;
    for (optimize::Expected& one : optimize::expected_of_server(facts)) {
        const bool known =
            std::any_of(all.begin(), all.end(), [&](const auto& other) { return other.knob == one.knob; });
        if (!known) all.push_back(std::move(one));
    }
    return all;
}

int check(const OptimizeArgs& args, const report::Console& console, const optimize::Facts& facts,
          const std::optional<optimize::StoredPlan>& stored) {
    const auto proofs = optimize::prove(to_check(stored, facts), facts);
    std::string text;
    if (proofs.empty())
        text = "Nothing to check: no plan was written, and nothing is set for this server.\n";
    else
        text =
            fmt::format("{}{}\n{}", stored ? "Plan " + stored->id + " and what else is set, " : "What is set, ",
                        facts.observed.answering ? "against the server at " + facts.observed.url : "without a server",
                        optimize::proofs_text(proofs));
    const std::string json = optimize::plan_json(optimize::make_plan(facts), 2,
                                                 system::utc_timestamp(system::unix_now_ms() / 1000), &proofs);
    const int code = hand_over(args.out, console, json + "\n", text, args.json);
    const bool failed = std::any_of(proofs.begin(), proofs.end(), [](const optimize::Proof& proof) {
        return proof.state == ProofState::kNotApplied;
    });
    return code != 0 ? code : failed ? 1 : 0;
}

std::vector<Format> wanted_formats(const OptimizeArgs& args) {
    std::vector<Format> formats;
    for (const std::string& name : args.formats)
        if (const auto format = optimize::parse_format(name)) formats.push_back(*format);
    const bool to_file = !args.out.output.empty() && args.out.output != "-";
    if (formats.empty() && to_file)
        formats.push_back(optimize::format_of_file(fs::path(args.out.output).filename().string()));
    if (formats.empty() && (args.json || args.out.output == "-")) formats.push_back(Format::kJson);
    if (formats.empty()) formats.push_back(Format::kText);
    return formats;
}

Result<std::string> document(const optimize::Plan& plan, Format format, const report::Style& style) {
    if (format == Format::kText) return optimize::plan_text(plan, style.unicode);
    if (format == Format::kJson)
        return optimize::plan_json(plan, 2, system::utc_timestamp(system::unix_now_ms() / 1000), nullptr) + "\n";
    return optimize::render(plan, format);
}

/// This command again, for the model as it is, or as it will be.
std::string again(const OptimizeArgs& args, const std::string& model) {
    std::string words = "velollm optimize";
    if (!model.empty()) words += " " + optimize::shell_word(model);
    if (args.backend != "ollama") words += " -b " + args.backend;
    if (!args.url.empty()) words += " --url " + optimize::shell_word(args.url);
    return words;
}

std::string summary(const OptimizeArgs& args, const optimize::Plan& plan, const std::string& file, Format format) {
    const std::size_t count = plan.changes().size();
    std::string text = fmt::format("{} change{} written to {}", count, count == 1 ? "" : "s", file);
    if (format == Format::kEnv) text += fmt::format("\nUse it:  source {}", optimize::shell_word(file));
    const std::string after = format == Format::kModelfile ? optimize::velo_tag(plan.model) : args.model;
    return text + fmt::format("\nSee why:  {}      Prove it afterwards:  {} --check\n", again(args, args.model),
                              again(args, after));
}

int write_files(const OptimizeArgs& args, const report::Console& console, const optimize::Plan& plan,
                const std::vector<Format>& formats, const report::Style& style) {
    const fs::path output = args.out.output;
    const bool folder = formats.size() > 1;
    Out out;
    std::error_code error;
    if (folder) fs::create_directories(output, error);
    for (const Format format : formats) {
        const fs::path file = folder ? output / optimize::usual_file(format) : output;
        // What was written before may be what makes the settings right.
        const bool keep_old = plan.changes().empty() && format != Format::kJson && format != Format::kText;
        if (keep_old && fs::exists(file, error)) {
            if (args.out.quiet) continue;
            const auto told = out.print(fmt::format("Nothing to change: {} is left as it is.\n", file.string()));
            if (!told) return fail(console, told.error());
            continue;
        }
        const auto text = document(plan, format, style);
        if (!text) return fail(console, text.error());
        if (const auto written = system::write_file_atomic(file, *text); !written)
            return fail(console, written.error());
        if (args.out.quiet) continue;
        const auto told =
            out.print(plan.changes().empty() ? fmt::format("Nothing to change. That is written to {}\n", file.string())
                                             : summary(args, plan, file.string(), format));
        if (!told) return fail(console, told.error());
    }
    return 0;
}

int print_all(const report::Console& console, const optimize::Plan& plan, const std::vector<Format>& formats,
              const report::Style& style) {
    Out out;
    for (const Format format : formats) {
        const auto text = document(plan, format, style);
        if (!text) return fail(console, text.error());
        const std::string head = formats.size() > 1 ? fmt::format("==> {} <==\n", optimize::usual_file(format)) : "";
        if (const auto printed = out.print(head + *text); !printed) return fail(console, printed.error());
    }
    return 0;
}

}  // namespace

int cmd_optimize(const OptimizeArgs& args, const system::System& system) {
    const report::Style style = style_of(args.out, system);
    const report::Console console(style);
    if (args.status) return apply_status(console, system);
    if (args.rollback) return apply_rollback(args, console, system);
    optimize::Limits limits{args.context, std::nullopt, args.allow_lossy};
    if (!args.max_vram.empty()) {
        const auto size = read_size(args.max_vram);
        if (!size) return fail(console, size.error());
        limits.max_gpu_bytes = *size;
    }
    const auto budget = read_tune_budget(args.budget);
    if (!budget) return fail(console, budget.error());
    const std::vector<Format> formats = wanted_formats(args);
    const bool to_file = !args.out.output.empty() && args.out.output != "-";
    if (to_file && formats.size() == 1)
        if (const auto writable = system::check_writable(args.out.output); !writable)
            return fail(console, writable.error());
    optimize::Target target;
    target.engine = args.backend == "llamacpp" ? "llama-server" : args.backend;
    target.model = args.model;
    target.url = args.url;
    const auto stored = args.check ? stored_plan(system, target.engine) : std::nullopt;
    if (target.model.empty() && stored) target.model = stored->model;
    if (!target.url.empty())
        if (const auto url = wire::parse_url(target.url, 0); !url) return fail(console, url.error());
    system::SteadyClock clock;
    optimize::Facts facts = optimize::gather(target, *optimize::parse_profile(args.profile), limits, system, clock);
    if (args.check) return check(args, console, facts, stored);
    if (!args.model.empty())
        if (const auto there = optimize::check_model_name(facts, system); !there) return fail(console, there.error());
    if (!args.draft.empty()) {
        const auto draft = backend::find_model_file(args.draft, system);
        if (!draft) return fail(console, draft.error());
        facts.draft_model = std::filesystem::absolute(*draft).string();
    }
    Result<optimize::Plan> made = args.tune ? tune(args, *budget, facts, system) : optimize::make_plan(facts);
    if (!made) return fail(console, made.error());
    const optimize::Plan& plan = *made;
    if (args.apply) return apply_plan(args, console, plan, facts, system);
    if (formats != std::vector{Format::kText}) keep(plan, system);
    return to_file ? write_files(args, console, plan, formats, style) : print_all(console, plan, formats, style);
}

}  // namespace velollm::cli
