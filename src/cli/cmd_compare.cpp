#include <fmt/core.h>

#include <filesystem>
#include <utility>
#include <vector>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/compare_inputs.h"
#include "cli/output.h"
#include "compare/compare.h"
#include "report/compare_report.h"

namespace velollm::cli {
namespace {

constexpr int kSlowerExit = 10;
constexpr int kUnclearExit = 11;

int exit_of(compare::Outcome outcome) {
    switch (outcome) {
        case compare::Outcome::kSameOrBetter: return 0;
        case compare::Outcome::kSlower: return kSlowerExit;
        case compare::Outcome::kUnclear: return kUnclearExit;
    }
    return kUnclearExit;
}

/// Form of the file: what was asked for, else what its name says, else JSON.
std::string format_of(const OutputArgs& out) {
    if (!out.format.empty()) return out.format;
    const std::string name = base::lower(out.output);
    for (const auto& [ending, format] :
         {std::pair{".md", "md"}, {".markdown", "md"}, {".csv", "csv"}, {".txt", "text"}})
        if (name.ends_with(ending)) return format;
    return out.output.empty() ? "text" : "json";
}

std::string document_of(const compare::Comparison& comparison, const std::string& format, bool verbose) {
    if (format == "json") return report::comparison_json(comparison, 2);
    if (format == "csv") return report::comparison_csv(comparison);
    if (format == "md") return report::comparison_markdown(comparison);
    return report::comparison_text(comparison, verbose);
}

}  // namespace

int cmd_compare(const CompareArgs& args, const system::System& system) {
    const report::Console console(style_of(args.out, system));
    const bool to_file = !args.out.output.empty() && args.out.output != "-";
    if (to_file)
        if (const auto writable = system::check_writable(args.out.output); !writable)
            return fail(console, writable.error());
    std::vector<compare::Side> sides;
    for (const std::string& word : args.sides) {
        std::error_code error;
        if (to_file && std::filesystem::equivalent(word.substr(0, word.rfind('@')), args.out.output, error))
            return fail(console,
                        {ErrorCode::kUsage, fmt::format("{} is one of the results, and -o would replace it", word),
                         "Choose another file with -o."});
        auto side = read_side(word);
        if (!side) return fail(console, side.error());
        sides.push_back(std::move(*side));
    }
    const compare::Side baseline = std::move(sides.front());
    sides.erase(sides.begin());
    const auto comparison = compare::compare(
        baseline, sides,
        {.rule = {.delta = args.delta, .metric = args.metric}, .varied = args.varied, .force = args.force});
    if (!comparison) return fail(console, comparison.error());

    const std::string format = format_of(args.out);
    const std::string document = document_of(*comparison, format, args.out.verbose);
    if (to_file && !args.out.quiet) {
        // Who reads the log of a build wants the verdict there as well.
        Out out;
        const auto printed = out.print(report::comparison_text(*comparison, args.out.verbose));
        if (!printed) return fail(console, printed.error());
    }
    const int code = hand_over(args.out, console, document, document, true);
    return code == 0 ? exit_of(comparison->outcome) : code;
}

}  // namespace velollm::cli
