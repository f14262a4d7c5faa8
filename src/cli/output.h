#pragma once

#include <velollm/result.h>

#include <string_view>

#include "cli/args.h"
#include "report/console.h"

namespace velollm::cli {

/// Standard output as this program sees it: every write is checked, and a reader that has gone away (head, less) is no
/// error: `closed` then says that nobody is listening any more.
class Out {
public:
    Result<void> print(std::string_view text);
    bool closed() const { return closed_; }

private:
    bool closed_ = false;
};

report::Style style_of(const OutputArgs& args, const system::System& system);

/// Prints the error on standard error and gives its exit code.
int fail(const report::Console& console, const Error& error);
int exit_code(ErrorCode code);

/// What a command that makes one document does with it: writes it to --output and says so, or prints it, or prints
/// `text` unless JSON is wanted. `json_asked`: beside --format json and --output -. Gives the exit code.
int hand_over(const OutputArgs& args, const report::Console& console, const std::string& json, const std::string& text,
              bool json_asked);

bool stdout_is_terminal();
bool stderr_is_terminal();

}  // namespace velollm::cli
