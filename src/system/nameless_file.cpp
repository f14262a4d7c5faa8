#include "system/nameless_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>

namespace velollm::system {
namespace fs = std::filesystem;
namespace {

Error cannot(std::string_view what, const fs::path& folder, int code) {
    return {ErrorCode::kFailed, fmt::format("Cannot {} in {}: {}", what, folder.string(), std::strerror(code)), ""};
}

}  // namespace

Result<NamelessFile> NamelessFile::make(const fs::path& folder) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) return cannot("make a file", folder, error.value());
    int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
        std::string name = (folder / "nameless-XXXXXX").string();
        fd = ::mkostemp(name.data(), O_CLOEXEC);
        if (fd >= 0) ::unlink(name.c_str());
    }
    if (fd < 0) return cannot("make a file", folder, errno);
    return NamelessFile(fd, folder);
}

NamelessFile::NamelessFile(NamelessFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), folder_(std::move(other.folder_)) {}

NamelessFile::~NamelessFile() {
    if (fd_ >= 0) ::close(fd_);
}

Result<void> NamelessFile::reserve(std::int64_t bytes) {
    const int code = ::posix_fallocate(fd_, 0, bytes);
    if (code != ENOSPC && code != EDQUOT && code != EFBIG) return {};
    return cannot(fmt::format("keep a file of {:.1f} GB", static_cast<double>(bytes) / 1e9), folder_, code);
}

Result<void> NamelessFile::append(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t done = ::write(fd_, bytes.data(), bytes.size());
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return cannot("write a file", folder_, errno);
        bytes.remove_prefix(static_cast<std::size_t>(done));
    }
    return {};
}

fs::path NamelessFile::path() const {
    return fmt::format("/proc/self/fd/{}", fd_);
}

}  // namespace velollm::system
