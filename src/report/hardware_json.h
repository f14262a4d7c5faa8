#pragma once

#include <velollm/hardware.h>

#include <string>

#include "base/json_writer.h"
#include "hardware/detect.h"

namespace velollm::report {

/// Writes the document that `velollm detect --json` prints: schema/velollm-hardware-1.schema.json.
///
/// `gpu`, `cpu`, `memory`, `os` and `platform` keep the original program's keys, types and meaning, so that its readers
/// go on working: sizes are whole MiB, and gpu.vram_*_mb is 0 when unknown. In everything added, unknown is null.
void write_hardware(base::JsonWriter& json, const Hardware& hardware, const hardware::Timings& timings = {});

/// The same as a text without a newline at its end; `indent` spaces a level, 0 for one line.
/// `timings`: how long each part took; left out when empty, so that the text is the same at each call.
std::string hardware_json(const Hardware& hardware, int indent, const hardware::Timings& timings = {});

/// The same for people: a few lines of label and value, each ending in a newline.
std::string hardware_text(const Hardware& hardware, const hardware::Timings& timings = {});

/// What makes two machines the same class of machine, as canonical JSON (RFC 8785: sorted keys, no blanks). Its SHA-256
/// is the `hardware_key` of a result. Left out is what changes without the hardware: driver, clocks, kernel, free
/// memory.
std::string hardware_key_text(const Hardware& hardware);

}  // namespace velollm::report
