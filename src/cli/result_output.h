#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/args.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "report/result_json.h"

namespace velollm::cli {

/// Where a command that measures puts its text, its progress and its results.
class ResultOutput {
public:
    explicit ResultOutput(OutputArgs args);

    Progress& progress() { return progress_; }
    /// Text is printed as things happen: not where results are wanted alone, or in another form.
    bool narrates() const;
    /// The reader of standard output has gone, and nothing is to be written elsewhere: going on has no purpose.
    bool unheard() const;
    /// Prints if narrates().
    Result<void> say(const std::string& text);
    /// Writes the result file, if one is wanted. After every benchmark, so that a later failure or a kill loses
    /// nothing.
    Result<void> save(const std::vector<report::ReportedResult>& reported) const;
    /// Prints all results in the form that is wanted; `text` makes that for people.
    Result<void> finish(const std::vector<report::ReportedResult>& reported, const report::Console& console,
                        const std::function<std::string()>& text);
    /// Prints the error, and gives the exit code.
    int end(const report::Console& console, const Error& error);

private:
    OutputArgs args_;
    Out out_;
    Progress progress_;
};

/// Whether none of them is invalid.
bool all_valid(const std::vector<report::ReportedResult>& reported);

}  // namespace velollm::cli
