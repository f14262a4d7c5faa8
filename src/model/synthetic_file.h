#pragma once

#include <velollm/result.h>

#include <cstdint>
#include <filesystem>
#include <functional>

#include "model/shape.h"

namespace velollm::model {

/// A file of a model's shape with noise for weights, which an engine runs as fast as the model itself. It has no name
/// in any folder: it goes when this object goes, and when the process dies, however it dies.
class SyntheticFile {
public:
    /// Writes it where `folder` is; this takes about a second for each GB. Its space is taken first: a full disk is an
    /// error before anything is written. `stop` is asked between pieces; true ends it with kInterrupted.
    static Result<SyntheticFile> write(const ModelShape& shape, const std::filesystem::path& folder,
                                       const std::function<bool()>& stop);
    SyntheticFile(SyntheticFile&& other) noexcept;
    SyntheticFile& operator=(SyntheticFile&&) = delete;
    ~SyntheticFile();

    /// By which this process and copies of it can open it.
    std::filesystem::path path() const;
    std::int64_t bytes() const { return bytes_; }

private:
    SyntheticFile(int fd, std::int64_t bytes) : fd_(fd), bytes_(bytes) {}
    int fd_;
    std::int64_t bytes_;
};

/// What a file of this shape takes on disk.
Result<std::int64_t> synthetic_bytes(const ModelShape& shape);

}  // namespace velollm::model
