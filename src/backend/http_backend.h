#pragma once

#include <memory>

#include "backend/dialect.h"

namespace velollm::backend {

/// A server behind HTTP, spoken to in one dialect.
std::unique_ptr<Backend> make_http_backend(const Dialect& dialect, Target target,
                                           std::unique_ptr<http::HttpTransport> transport, Clock& clock);

}  // namespace velollm::backend
