#include "system/file_rights.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

namespace velollm::system {

std::optional<FileRights> file_rights(const std::filesystem::path& path) {
    struct stat file = {};
    if (::stat(path.c_str(), &file) != 0) return std::nullopt;
    constexpr unsigned kBits = 0777;
    return FileRights{file.st_mode & kBits, file.st_uid, file.st_gid};
}

bool may_read_and_write(const FileRights& rights, std::int64_t user, const std::set<std::int64_t>& groups) {
    constexpr unsigned kBoth = 6;
    if (user == 0) return true;
    if (user == rights.owner) return ((rights.mode >> 6U) & kBoth) == kBoth;
    if (groups.contains(rights.group)) return ((rights.mode >> 3U) & kBoth) == kBoth;
    return (rights.mode & kBoth) == kBoth;
}

bool may_read_and_write(const std::filesystem::path& path) {
    return ::access(path.c_str(), R_OK | W_OK) == 0;
}

std::int64_t own_user() {
    return ::geteuid();
}

std::string user_name(std::int64_t user) {
    const passwd* entry = ::getpwuid(static_cast<uid_t>(user));
    return entry == nullptr ? std::to_string(user) : entry->pw_name;
}

std::string group_name(std::int64_t group) {
    const ::group* entry = ::getgrgid(static_cast<gid_t>(group));
    return entry == nullptr ? std::to_string(group) : entry->gr_name;
}

}  // namespace velollm::system
