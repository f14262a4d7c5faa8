#include "cli/output.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/text.h"

namespace velollm::cli {

Result<void> Out::print(std::string_view text) {
    if (closed_ || text.empty()) return {};
    errno = 0;
    if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) return {};
    const int code = errno;
    std::clearerr(stdout);
    if (code == EPIPE) {
        closed_ = true;
        return {};
    }
    return Error{ErrorCode::kFailed, fmt::format("Cannot write to standard output: {}", std::strerror(code)),
                 "Write to a file on a disk with room instead: -o FILE"};
}

report::Style style_of(const OutputArgs& args, const system::System& system) {
    report::Style style;
    // The first of these that is set decides how text is encoded (POSIX, locale).
    std::string locale;
    for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"})
        if (locale.empty()) locale = base::lower(system.variable(name).value_or(""));
    const bool utf8 = locale.find("utf-8") != std::string::npos || locale.find("utf8") != std::string::npos;
    style.unicode = !args.ascii && utf8;
    const bool wanted = stderr_is_terminal() || system.variable("CLICOLOR_FORCE").value_or("0") != "0";
    style.color = wanted && !args.no_color && !system.variable("NO_COLOR");
    return style;
}

int fail(const report::Console& console, const Error& error) {
    const std::string text = console.error(error);
    std::fwrite(text.data(), 1, text.size(), stderr);
    return exit_code(error.code);
}

int exit_code(ErrorCode code) {
    switch (code) {
        case ErrorCode::kFailed: return 1;
        case ErrorCode::kUsage: return 2;
        case ErrorCode::kUnreachable: return 3;
        case ErrorCode::kModelNotFound: return 4;
        case ErrorCode::kNoValidResult: return 5;
        case ErrorCode::kInterrupted: return 130;
    }
    return 1;
}

bool stdout_is_terminal() {
    return ::isatty(STDOUT_FILENO) == 1;
}

bool stderr_is_terminal() {
    return ::isatty(STDERR_FILENO) == 1;
}

int hand_over(const OutputArgs& args, const report::Console& console, const std::string& json, const std::string& text,
              bool json_asked) {
    Out out;
    if (!args.output.empty() && args.output != "-") {
        if (const auto written = system::write_file_atomic(args.output, json); !written)
            return fail(console, written.error());
        const auto told = args.quiet ? Result<void>() : out.print(console.saved(args.output));
        return told ? 0 : fail(console, told.error());
    }
    const bool as_json = json_asked || args.format == "json" || args.output == "-";
    const auto printed = out.print(as_json ? json : text);
    return printed ? 0 : fail(console, printed.error());
}

}  // namespace velollm::cli
