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
    return hand_over(args.out, console, json, report::hardware_text(hardware, timings),
                     args.json || (args.out.format.empty() && !stdout_is_terminal()));
}

}  // namespace velollm::cli
