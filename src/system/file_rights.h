#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>

namespace velollm::system {

/// Who may open a file, by owner, group and mode. Access lists (ACL) are not in it.
struct FileRights {
    unsigned mode = 0;  ///< the nine bits for owner, group and others
    std::int64_t owner = 0;
    std::int64_t group = 0;
};
/// Nothing when there is no such file.
std::optional<FileRights> file_rights(const std::filesystem::path& path);

/// Whether a user with these groups may read and write it.
bool may_read_and_write(const FileRights& rights, std::int64_t user, const std::set<std::int64_t>& groups);
/// Whether this process may, as the kernel knows best.
bool may_read_and_write(const std::filesystem::path& path);

std::int64_t own_user();
/// Names of a user and a group by their numbers; the number where it has none.
std::string user_name(std::int64_t user);
std::string group_name(std::int64_t group);

}  // namespace velollm::system
