#include <utility>

#include "backend/ask_engine.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "hardware/bandwidth.h"
#include "hardware/detect.h"
#include "hardware/engine_view.h"
#include "report/hardware_json.h"

namespace velollm::cli {

int cmd_detect(const DetectArgs& args, const system::System& system) {
    const report::Console console(style_of(args.out, system));
    const hardware::KernelAnswers kernel = hardware::ask_kernel();
    hardware::Timings timings;
    system::SteadyClock clock;
    Hardware hardware = hardware::detect_with_libraries(system, kernel, clock, args.timings ? &timings : nullptr);
    if (!args.engine.empty()) {
        auto view = backend::ask_engine(args.engine, system, clock);
        if (!view) return fail(console, view.error());
        for (HardwareWarning& warning : hardware::judge_engine(hardware, *view))
            hardware.warnings.push_back(std::move(warning));
        hardware.engine_view = std::move(*view);
    }
    if (args.bandwidth) {
        hardware::Probes probes = hardware::run_probes(system, kernel, hardware);
        hardware.memory.bandwidth = std::move(probes.bandwidth);
        hardware.cpu.peak = std::move(probes.peak);
    }
    const std::string json = report::hardware_json(hardware, 2, timings) + "\n";
    Out out;
    if (!args.out.output.empty() && args.out.output != "-") {
        if (const auto written = system::write_file_atomic(args.out.output, json); !written)
            return fail(console, written.error());
        const auto told = args.out.quiet ? Result<void>() : out.print(console.saved(args.out.output));
        return told ? 0 : fail(console, told.error());
    }
    const bool as_json = args.json || args.out.format == "json" || args.out.output == "-" ||
                         (args.out.format.empty() && !stdout_is_terminal());
    const auto printed = out.print(as_json ? json : report::hardware_text(hardware, timings));
    return printed ? 0 : fail(console, printed.error());
}

}  // namespace velollm::cli
