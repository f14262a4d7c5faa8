#pragma once

#include <velollm/hardware.h>

#include <string>
#include <string_view>
#include <vector>

namespace velollm::hardware {

/// First line of `llama-server --version`: "version: 0.5.0-dev (build 1, commit 0c1e570)", "version: 4567 (abcdef0)" ->
/// what follows the colon; empty for anything else.
std::string parse_llama_version(std::string_view output);

/// Takes from what llama-server writes about itself: its devices ("  CUDA0: NAME (24080 MiB, 23000 MiB free)", in
/// --list-devices and, behind a hyphen, in the log), the threads that it takes by itself, and the CPU features that it
/// was built for and found (its line "system_info:"). A device that is listed twice counts once.
void read_engine_report(std::string_view output, EngineView& view);

/// Where the engine sees another machine than detection does, or would use it badly.
std::vector<HardwareWarning> judge_engine(const Hardware& hardware, const EngineView& view);

}  // namespace velollm::hardware
