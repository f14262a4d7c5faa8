#include <cstdio>

#include "base/digest.h"
#include "benchmark/selftest.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/version.h"
#include "hardware/detect.h"
#include "report/hardware_json.h"
#include "report/selftest_report.h"

namespace velollm::cli {
namespace fs = std::filesystem;

namespace {
fs::path selftest_file(const system::System& system) {
    return system::state_folder(system) / "selftest.json";
}
}  // namespace

std::string last_selftest(const system::System& system) {
    return report::selftest_within(system::read_file(selftest_file(system)).value_or(""));
}

int cmd_selftest(const SelfTestArgs& args, const system::System& system) {
    const report::Console console(style_of(args.out, system));
    const bool to_file = !args.out.output.empty() && args.out.output != "-";
    if (to_file) {
        if (const auto writable = system::check_writable(args.out.output); !writable)
            return fail(console, writable.error());
    }
    const bool told = stderr_is_terminal() && !args.out.quiet;
    if (told) std::fputs("Measuring a scripted server, about 8 seconds...", stderr);
    const auto test = benchmark::run_selftest({}, system, interrupted);
    if (told) std::fputs("\r\x1b[K", stderr);
    if (!test) return fail(console, test.error());

    const report::SelfTestOrigin origin{
        .tool_version = tool_version(),
        .tool_commit = tool_commit(),
        .hardware_key = base::sha256_hex(report::hardware_key_text(hardware::detect_this_machine(system))),
        .at = system::utc_timestamp(system::unix_now_ms() / 1000)};
    const std::string json = report::selftest_json(*test, origin, 2) + "\n";
    const fs::path kept = selftest_file(system);
    auto saved = system::make_folder(kept.parent_path());
    if (saved) saved = system::write_file_atomic(kept, json);
    Out out;
    if (to_file) {
        if (const auto written = system::write_file_atomic(args.out.output, json); !written)
            return fail(console, written.error());
    }
    const bool as_json = args.json || args.out.format == "json" || args.out.output == "-";
    std::string text = as_json ? json : report::selftest_text(*test);
    if (!as_json && saved) text += "Kept in " + kept.string() + "; results carry it from now on.\n";
    const auto printed = out.print(text);
    if (!printed) return fail(console, printed.error());
    if (!saved) return fail(console, saved.error());
    return report::trustworthy(*test) ? 0 : exit_code(ErrorCode::kNoValidResult);
}

}  // namespace velollm::cli
