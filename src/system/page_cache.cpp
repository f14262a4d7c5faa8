#include "system/page_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace velollm::system {
namespace {

/// A file open for reading, or -1.
class OpenFile {
public:
    explicit OpenFile(const std::filesystem::path& file) : fd_(::open(file.c_str(), O_RDONLY | O_CLOEXEC)) {}
    ~OpenFile() {
        if (fd_ >= 0) ::close(fd_);
    }
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;
    int get() const { return fd_; }

private:
    int fd_;
};

}  // namespace

std::optional<double> cached_share(const std::filesystem::path& file) {
    const OpenFile open(file);
    struct stat status {};
    if (open.get() < 0 || ::fstat(open.get(), &status) != 0 || status.st_size <= 0) return std::nullopt;
    // To others mincore() says that every page is there (Linux 5.2 and later), which would be taken for a warm cache.
    if (status.st_uid != ::geteuid() && ::access(file.c_str(), W_OK) != 0) return std::nullopt;
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const auto size = static_cast<std::size_t>(status.st_size);
    constexpr std::size_t kStep = std::size_t{1} << 30U;
    std::size_t pages = 0;
    std::size_t cached = 0;
    for (std::size_t at = 0; at < size; at += kStep) {
        const std::size_t length = std::min(kStep, size - at);
        void* map = ::mmap(nullptr, length, PROT_READ, MAP_SHARED, open.get(), static_cast<off_t>(at));
        if (map == MAP_FAILED) return std::nullopt;
        std::vector<unsigned char> present((length + page - 1) / page);
        const bool told = ::mincore(map, length, present.data()) == 0;
        ::munmap(map, length);
        if (!told) return std::nullopt;
        pages += present.size();
        cached += static_cast<std::size_t>(
            std::count_if(present.begin(), present.end(), [](unsigned char one) { return (one & 1U) != 0; }));
    }
    return static_cast<double>(cached) / static_cast<double>(pages);
}

void drop_from_cache(const std::filesystem::path& file) {
    const OpenFile open(file);
    if (open.get() < 0) return;
    ::fdatasync(open.get());  // a page that isn't on the disk yet can't be dropped
    ::posix_fadvise(open.get(), 0, 0, POSIX_FADV_DONTNEED);
}

}  // namespace velollm::system
