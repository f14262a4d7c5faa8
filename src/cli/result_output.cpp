#include "cli/result_output.h"

#include <algorithm>

#include "cli/interrupt.h"
#include "report/table.h"
#include "system/system.h"

namespace velollm::cli {

ResultOutput::ResultOutput(OutputArgs args) : args_(std::move(args)), progress_(stderr_is_terminal() && !args_.quiet) {}

bool ResultOutput::narrates() const {
    return (args_.format.empty() || args_.format == "text") && args_.output != "-" && !args_.quiet;
}

bool ResultOutput::unheard() const {
    return out_.closed() && (args_.output.empty() || args_.output == "-");
}

Result<void> ResultOutput::say(const std::string& text) {
    progress_.clear();
    return narrates() ? out_.print(text) : Result<void>();
}

Result<void> ResultOutput::save(const std::vector<report::ReportedResult>& reported) const {
    if (args_.output.empty() || args_.output == "-") return {};
    return system::write_file_atomic(args_.output, report::result_json(reported));
}

Result<void> ResultOutput::finish(const std::vector<report::ReportedResult>& reported, const report::Console& console,
                                  const std::function<std::string()>& text) {
    progress_.clear();
    if (args_.output == "-" || args_.format == "json") return out_.print(report::result_json(reported));
    if (args_.format == "csv") return out_.print(report::result_csv(reported));
    if (args_.format == "md") return out_.print(report::result_markdown(reported));
    const std::string last = args_.output.empty() ? console.tip() : console.saved(args_.output);
    return out_.print(text() + (args_.quiet ? "" : last));
}

int ResultOutput::end(const report::Console& console, const Error& error) {
    progress_.clear();
    if (error.code == ErrorCode::kInterrupted && unheard() && !interrupted()) return 0;
    return fail(console, error);
}

bool all_valid(const std::vector<report::ReportedResult>& reported) {
    return std::all_of(reported.begin(), reported.end(), [](const report::ReportedResult& one) {
        return one.second->summary.verdict != Verdict::kInvalid;
    });
}

}  // namespace velollm::cli
