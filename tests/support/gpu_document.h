#pragma once

#include <velollm/hardware.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/json_writer.h"
#include "hardware/detect.h"
#include "report/gpu_json.h"
#include "support/approve.h"
#include "system/system.h"

namespace velollm::test {

inline hardware::KernelAnswers plain_kernel() {
    return {.allowed_cpus = {0}, .arch = "x86_64", .release = "6.1.0-18-amd64"};
}

/// A recorded machine of tests/hosts.
inline system::System recorded_host(const std::string& name) {
    return {.root = std::filesystem::path(VELOLLM_TESTS_DIR) / "hosts" / name, .env = {}};
}

/// What the hardware document says of GPUs.
inline std::string gpus_json(const Hardware& machine) {
    base::JsonWriter json(2);
    json.begin_object().key("gpu");
    if (machine.gpus.empty()) {
        json.null();
    } else {
        report::write_original_gpu(json, machine.gpus.front());
    }
    json.key("gpus").begin_array();
    int index = 0;
    for (const Gpu& gpu : machine.gpus) report::write_gpu(json, gpu, index++);
    json.end_array();
    json.key("text").begin_array();
    for (const Gpu& gpu : machine.gpus) json.value(report::gpu_text(gpu)).value(report::backends_text(gpu));
    json.end_array();
    report::write_warnings(json.key("warnings"), machine.warnings);
    json.end_object();
    return json.text() + "\n";
}

/// Compares what is said of a recorded machine beside a library in the place of a vendor's, playing a scene.
inline void approve_with_library(const std::string& host, const std::string& kind, const char* variable,
                                 const char* file, const char* scene_variable, const char* scene) {
    ::setenv(scene_variable, scene, 1);
    system::System system = recorded_host(host);
    system.env[variable] = file;
    system::SteadyClock clock;
    approve(gpus_json(hardware::detect_with_libraries(system, plain_kernel(), clock)),
            "gpus/" + host + "-" + kind + ".json");
}

}  // namespace velollm::test
