#include "cli/compare_args.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/share.h"
#include "compare/likeness.h"

namespace velollm::cli {
namespace {

constexpr std::size_t kFewestSides = 2;
constexpr std::size_t kMostSides = 6;

}  // namespace

CLI::App* add_compare(CLI::App& app, CompareArgs& args, CompareWords& words) {
    CLI::App& command = *app.add_subcommand("compare", "Say whether results differ: faster, slower, same, or unclear");
    command.footer(
        "Example: velollm compare baseline.json optimized.json --delta 3%\n"
        "Exit code: 0 same or better, 10 slower, 11 cannot tell, 1 unlike runs");
    command
        .add_option("SIDE", args.sides,
                    "Two to six result files, of this program or of another one, or folders of them;\n"
                    "- reads standard input. The first is the baseline.\n"
                    "FILE@KEY=VALUE takes a part, e.g. both.json@engine=ollama")
        ->type_name("")
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    const char* group = "Verdict";
    command.add_option("--delta", words.delta, "What counts as a difference: 2% (default) or 0.02")
        ->type_name("PERCENT")
        ->group(group);
    command
        .add_option("--metric", args.metric,
                    "The measure that decides; default decode_tps, without it tokens_per_second")
        ->type_name("KEY")
        ->group(group);
    const char* likeness = "Likeness";
    command
        .add_option("--vary", words.vary,
                    "What the runs may differ in, as it is what is compared: engine, context, model, quant,\n"
                    "hardware, ...; settings and engine version always may")
        ->type_name("KEY[,KEY]")
        ->join(',')
        ->group(likeness);
    command.add_flag("--force", args.force, "Compare unlike and invalid runs too, and say how they differ")
        ->group(likeness);
    command.add_flag("--json", words.json, "Print JSON, as --format json does")->group("Output");
    return &command;
}

Result<void> finish_compare(const CompareWords& words, CompareArgs& args) {
    if (args.sides.size() < kFewestSides || args.sides.size() > kMostSides)
        return Error{ErrorCode::kUsage,
                     fmt::format("compare takes two to six results, and here are {}", args.sides.size()),
                     args.sides.size() > kMostSides ? "Compare some of them with the baseline, then the others with it."
                                                    : "Example: velollm compare baseline.json optimized.json"};
    if (std::count(args.sides.begin(), args.sides.end(), "-") > 1)
        return Error{ErrorCode::kUsage, "Standard input can be one side only", "Name a file for the other."};
    if (words.json) args.out.format = "json";
    if (!words.delta.empty()) {
        const auto delta = read_share("--delta", words.delta);
        if (!delta) return delta.error();
        args.delta = *delta;
    }
    if (!words.vary.empty()) {
        auto varied = compare::read_varied(words.vary);
        if (!varied) return varied.error();
        args.varied = std::move(*varied);
    }
    return {};
}

}  // namespace velollm::cli
