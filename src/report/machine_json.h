#pragma once

#include <velollm/hardware.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json_writer.h"

namespace velollm::report {

/// The values of `cpu`, `memory`, `environment` and `sources` in the document of write_hardware(). In what was added to
/// the original's keys, unknown is null.
void write_cpu(base::JsonWriter& json, const Cpu& cpu);
void write_memory(base::JsonWriter& json, const Memory& memory);
void write_environment(base::JsonWriter& json, const Hardware& hardware);
void write_sources(base::JsonWriter& json, const Hardware& hardware);

/// Lines of label and value on processor and memory, for people; each ends in a newline.
std::string cpu_lines(const Cpu& cpu);
std::string memory_lines(const Memory& memory);
std::string environment_lines(const Hardware& hardware);

/// What it all means for the choice of threads and models: "You may use 4 of 32 threads: the container's CPU quota
/// (4.00 CPUs)."
std::string conclusion(const Hardware& hardware);

/// One line of label and value.
std::string labelled(std::string_view label, std::string_view value);

}  // namespace velollm::report
