#include "base/digest.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "optimize/doctor.h"
#include "report/hardware_json.h"
#include "wire/url.h"

namespace velollm::cli {

int cmd_doctor(const DoctorArgs& args, const system::System& system) {
    const report::Style style = style_of(args.out, system);
    const report::Console console(style);
    const bool to_file = !args.out.output.empty() && args.out.output != "-";
    if (to_file)
        if (const auto writable = system::check_writable(args.out.output); !writable)
            return fail(console, writable.error());
    optimize::Target target;
    target.engine = args.backend == "llamacpp" ? "llama-server" : args.backend;
    target.model = args.model;
    target.url = args.url;
    if (!target.url.empty())
        if (const auto url = wire::parse_url(target.url, 0); !url) return fail(console, url.error());
    system::SteadyClock clock;
    optimize::Subject subject = optimize::look(target, !args.quick, system, clock);
    if (!subject.sight.remote)
        subject.sight.speed = optimize::known_speed(
            subject.facts, base::sha256_hex(report::hardware_key_text(subject.facts.hardware)), system);
    const optimize::Report report = optimize::examine(subject);
    const std::string json =
        optimize::report_json(report, 2, system::utc_timestamp(system::unix_now_ms() / 1000)) + "\n";
    const int code = hand_over(args.out, console, json, optimize::report_text(report, style.unicode), args.json);
    const bool sick = report.count(optimize::Severity::kProblem) > 0;
    return code == 0 && sick ? exit_code(ErrorCode::kFailed) : code;
}

}  // namespace velollm::cli
