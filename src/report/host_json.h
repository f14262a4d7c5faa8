#pragma once

#include <velollm/run.h>

#include <string>

#include "base/json_writer.h"
#include "report/context.h"

namespace velollm::report {

/// "client": how this program itself fared during a run, with its last self-test as JSON; empty: none.
void write_client(base::JsonWriter& json, const ClientHealth& client, const std::string& self_test);

/// What the machine did beside a run, as an object.
void write_host(base::JsonWriter& json, const HostReport& host);

/// "preparation": the warm-up requests in short, and the machine before measuring.
void write_preparation(base::JsonWriter& json, const Context& context);

}  // namespace velollm::report
