#pragma once

namespace velollm::cli {

/// From now on Ctrl-C and SIGTERM ask the program to come to an end; a second one ends it at once. Writing to a closed
/// pipe, or beyond the limit of a file's size, becomes an error of the write instead of a death.
void install_signal_handlers();

/// Whether somebody has asked.
bool interrupted();

}  // namespace velollm::cli
