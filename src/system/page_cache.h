#pragma once

#include <filesystem>
#include <optional>

namespace velollm::system {

/// Share of a file that lies in the page cache, 0 to 1: reading that part needs no disk. Nothing for an empty file and
/// where the kernel doesn't tell: it does so to the file's owner and to those who may write it.
std::optional<double> cached_share(const std::filesystem::path& file);

/// Asks the kernel to drop a file from the page cache. Pages that a process has mapped stay: look with cached_share().
void drop_from_cache(const std::filesystem::path& file);

}  // namespace velollm::system
