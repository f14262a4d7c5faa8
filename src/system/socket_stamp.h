#pragma once

#include <velollm/time.h>

#include <optional>

namespace velollm::system {

/// Has the kernel note when bytes arrive at a TCP socket (SO_TIMESTAMPING, in software). False where it can't.
bool note_arrivals(int socket);

/// How long the oldest bytes that wait at the socket have been there. Nothing is read. Absent when none wait or none
/// are noted. The kernel stamps by the wall clock: a step of that within this time would be in the figure.
std::optional<Ns> time_waiting(int socket);

/// Lets this process have as many open files and sockets as the system grants it without asking.
void allow_many_open_files();

}  // namespace velollm::system
