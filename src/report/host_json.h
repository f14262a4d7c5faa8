#pragma once

#include <velollm/run.h>

#include "base/json_writer.h"
#include "report/context.h"

namespace velollm::report {

/// What the machine did beside a run, as an object.
void write_host(base::JsonWriter& json, const HostReport& host);

/// "preparation": the warm-up requests in short, and the machine before measuring.
void write_preparation(base::JsonWriter& json, const Context& context);

}  // namespace velollm::report
