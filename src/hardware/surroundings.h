#pragma once

#include <velollm/hardware.h>

#include <string_view>

#include "system/system.h"

namespace velollm::hardware {

/// Container, virtual machine and WSL, each with what speaks for it. `kernel_release`: of uname.
///
/// The two are asked apart: a container may run in a virtual machine, and a virtual machine may be made of a
/// container's files, so that /.dockerenv alone proves little.
Surroundings read_surroundings(const system::System& system, std::string_view kernel_release,
                               std::string_view cgroup_version);

}  // namespace velollm::hardware
