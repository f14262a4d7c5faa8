#pragma once

#include <functional>
#include <memory>

#include "backend/dialect.h"

namespace velollm::backend {

/// A server behind HTTP, spoken to in one dialect. `stop` ends describe(), load() and unload() early.
std::unique_ptr<Backend> make_http_backend(const Dialect& dialect, Target target,
                                           std::unique_ptr<http::HttpTransport> transport, Clock& clock,
                                           std::function<bool()> stop = {});

}  // namespace velollm::backend
