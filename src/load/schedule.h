#pragma once

#include <velollm/spec.h>

#include <cstddef>

namespace velollm::load {

/// `streams` users, each sending its next request as soon as its last one has ended; `requests` in all.
Schedule closed_loop(std::size_t requests, int streams);

}  // namespace velollm::load
