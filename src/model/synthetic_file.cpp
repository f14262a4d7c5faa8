#include "model/synthetic_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "backend/noise.h"
#include "gguf/tensor_types.h"
#include "gguf/writer.h"
#include "model/cells.h"
#include "model/header.h"

namespace velollm::model {
namespace fs = std::filesystem;
namespace {

/// Rows of noise that a matrix is filled with again and again: more of them made no difference to the speed.
constexpr std::int64_t kTileRows = 64;
constexpr std::size_t kPieceBytes = std::size_t{4} << 20U;

bool holds(const gguf::Tensor& tensor, std::string_view word) {
    return tensor.name.find(word) != std::string::npos;
}

/// A row of experts' scores each: equal rows would always choose the same experts together.
bool is_router(const gguf::Tensor& tensor) {
    return holds(tensor, "ffn_gate_inp.weight");
}

std::string constant_row(const gguf::Tensor& tensor) {
    // Biases, sinks and experts' biases 0; norms, factors of rotations and the like 1; decays below 0.
    float value = 1.0F;
    if (holds(tensor, ".bias") || holds(tensor, "sinks")) value = 0.0F;
    if (tensor.name.ends_with("ssm_a")) value = -1.0F;
    std::string bytes(static_cast<std::size_t>(tensor.bytes), '\0');
    for (std::size_t i = 0; i + sizeof(value) <= bytes.size(); i += sizeof(value))
        std::memcpy(&bytes[i], &value, sizeof(value));
    return bytes;
}

/// Writes one tensor after the other.
class Writer {
public:
    Writer(int fd, const std::function<bool()>& stop) : fd_(fd), stop_(stop) {}

    Result<void> put(std::string_view bytes) {
        while (!bytes.empty()) {
            if (stop_ && stop_()) return Error{ErrorCode::kInterrupted, "Stopped while writing a file", ""};
            const ssize_t done = ::write(fd_, bytes.data(), std::min(bytes.size(), kPieceBytes));
            if (done < 0 && errno == EINTR) continue;
            if (done < 0)
                return Error{ErrorCode::kFailed,
                             fmt::format("Cannot write a file of the model's shape: {}", std::strerror(errno)),
                             "It takes as much disk as the model: free some, or let XDG_CACHE_HOME name another one."};
            bytes.remove_prefix(static_cast<std::size_t>(done));
        }
        return {};
    }

    Result<void> put(const gguf::Tensor& tensor) {
        if (tensor.type == gguf::types::kF32 && !is_router(tensor)) return padded(tensor, constant_row(tensor));
        const std::int64_t rows = tensor.bytes / row_bytes(tensor.shape[0], tensor.type);
        const auto tile = tile_of(tensor, is_router(tensor) ? rows : std::min(rows, kTileRows));
        if (!tile) return tile.error();
        std::int64_t left = tensor.bytes;
        while (left > 0) {
            const auto size = std::min<std::int64_t>(left, static_cast<std::int64_t>((*tile)->size()));
            if (const auto done = put(std::string_view(**tile).substr(0, static_cast<std::size_t>(size))); !done)
                return done;
            left -= size;
        }
        return pad(tensor.bytes);
    }

private:
    /// Tiles of one type and row length are alike, and made large: a write of a few kilobytes takes its time.
    Result<const std::string*> tile_of(const gguf::Tensor& tensor, std::int64_t rows) {
        const auto key = std::tuple(tensor.type, tensor.shape[0], rows);
        const auto known = tiles_.find(key);
        if (known != tiles_.end()) return &known->second;
        auto noise = backend::noise_rows(tensor.type, tensor.shape[0], rows, ++seed_);
        if (!noise) return noise.error();
        std::string tile = *noise;
        while (rows == kTileRows && tile.size() < kPieceBytes) tile += *noise;
        return &tiles_.emplace(key, std::move(tile)).first->second;
    }

    Result<void> padded(const gguf::Tensor& tensor, const std::string& bytes) {
        const auto done = put(std::string_view(bytes));
        return done ? pad(tensor.bytes) : done;
    }

    Result<void> pad(std::int64_t bytes) {
        constexpr std::int64_t kAlignment = 32;
        const std::string zeros(static_cast<std::size_t>((kAlignment - bytes % kAlignment) % kAlignment), '\0');
        return put(std::string_view(zeros));
    }

    int fd_;
    const std::function<bool()>& stop_;
    std::uint64_t seed_ = 0;
    std::map<std::tuple<std::uint32_t, std::int64_t, std::int64_t>, std::string> tiles_;
};

/// A file without a name. Where the file system can't make one, the name is taken away at once.
int nameless_file(const fs::path& folder) {
    const int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)) return fd;
    std::string name = (folder / "synthetic-XXXXXX").string();
    const int named = ::mkostemp(name.data(), O_CLOEXEC);
    if (named >= 0) ::unlink(name.c_str());
    return named;
}

}  // namespace

Result<SyntheticFile> SyntheticFile::write(const ModelShape& shape, const fs::path& folder,
                                           const std::function<bool()>& stop) {
    const auto header = synthetic_header(shape);
    if (!header) return header.error();
    std::error_code error;
    fs::create_directories(folder, error);
    const int fd = nameless_file(folder);
    if (fd < 0)
        return Error{ErrorCode::kFailed,
                     fmt::format("Cannot make a file in {}: {}", folder.string(), std::strerror(errno)),
                     "Let XDG_CACHE_HOME name a folder that can be written."};
    SyntheticFile file(fd, header->file_bytes);
    if (const int code = ::posix_fallocate(fd, 0, header->file_bytes); code == ENOSPC || code == EFBIG)
        return Error{ErrorCode::kFailed,
                     fmt::format("{} has no room for a file of the model's shape, {:.1f} GB", folder.string(),
                                 static_cast<double>(header->file_bytes) / 1e9),
                     "Free some, or let XDG_CACHE_HOME name another disk."};
    Writer writer(fd, stop);
    std::string bytes = header->bytes;
    bytes.resize(static_cast<std::size_t>(header->data_offset), '\0');
    if (const auto done = writer.put(std::string_view(bytes)); !done) return done.error();
    for (const gguf::Tensor& tensor : shape.tensors)
        if (const auto done = writer.put(tensor); !done) return done.error();
    return file;
}

SyntheticFile::SyntheticFile(SyntheticFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), bytes_(other.bytes_) {}

SyntheticFile::~SyntheticFile() {
    if (fd_ >= 0) ::close(fd_);
}

fs::path SyntheticFile::path() const {
    return fmt::format("/proc/self/fd/{}", fd_);
}

Result<std::int64_t> synthetic_bytes(const ModelShape& shape) {
    const auto header = synthetic_header(shape);
    if (!header) return header.error();
    return header->file_bytes;
}

}  // namespace velollm::model
