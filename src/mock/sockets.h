#pragma once

#include <velollm/result.h>

#include <cstdint>

namespace velollm::mock {

/// CLOCK_MONOTONIC.
std::int64_t steady_now_ns();
/// CLOCK_REALTIME.
std::int64_t wall_now_ns();

/// A non-blocking socket that listens at 127.0.0.1; `port` 0 lets the kernel choose.
Result<int> listen_on_loopback(int port);
int port_of(int socket);

/// A socket that resets its connection when it is closed.
void reset_on_close(int socket);
void set_nodelay(int socket, bool on);

/// As many open files as the system lets this process have, and waits that end within a microsecond or so.
void prepare_process();

}  // namespace velollm::mock
