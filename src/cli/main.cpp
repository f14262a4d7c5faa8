#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <system_error>
#include <variant>
#include <vector>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "hardware/gpu_watch.h"

namespace {

using namespace velollm;

int run(std::vector<std::string> words) {
    system::System system = system::this_system();
    if (words == std::vector<std::string>{hardware::kGpuWatchWord}) return hardware::watch_gpus(system);
    std::error_code error;
    system.gpu_watcher = std::filesystem::read_symlink("/proc/self/exe", error);
    const cli::Arguments arguments = cli::parse_arguments(std::move(words), system);
    if (const auto* printed = std::get_if<cli::Printed>(&arguments)) {
        std::fputs(printed->text.c_str(), printed->to_stderr ? stderr : stdout);
        return printed->exit_code;
    }
    cli::install_signal_handlers();
    if (const auto* compare = std::get_if<cli::CompareArgs>(&arguments)) return cli::cmd_compare(*compare, system);
    if (const auto* ab = std::get_if<cli::AbArgs>(&arguments)) return cli::cmd_ab(*ab, system);
    if (const auto* detect = std::get_if<cli::DetectArgs>(&arguments)) return cli::cmd_detect(*detect, system);
    if (const auto* doctor = std::get_if<cli::DoctorArgs>(&arguments)) return cli::cmd_doctor(*doctor, system);
    if (const auto* optimize = std::get_if<cli::OptimizeArgs>(&arguments)) return cli::cmd_optimize(*optimize, system);
    if (const auto* predict = std::get_if<cli::PredictArgs>(&arguments)) return cli::cmd_predict(*predict, system);
    if (const auto* recommend = std::get_if<cli::RecommendArgs>(&arguments))
        return cli::cmd_recommend(*recommend, system);
    if (const auto* selftest = std::get_if<cli::SelfTestArgs>(&arguments)) return cli::cmd_selftest(*selftest, system);
    return cli::cmd_benchmark(std::get<cli::BenchmarkArgs>(arguments), system);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run({argv + 1, argv + argc});
    } catch (const std::exception& error) {  // out of memory, or a defect: never a bare crash
        std::fprintf(stderr, "Error: internal failure: %s\n  Please report this with the command that caused it.\n",
                     error.what());
        return 1;
    }
}
