#pragma once

#include <velollm/result.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <utility>

#include "model/shape.h"
#include "system/nameless_file.h"

namespace velollm::model {

/// A file of a model's shape with noise for weights, which an engine runs as fast as the model itself. It has no name
/// in any folder: it goes when this object goes, and when the process dies, however it dies.
class SyntheticFile {
public:
    /// Writes it where `folder` is; this takes about a second for each GB. Its space is taken first: a full disk is an
    /// error before anything is written. `stop` is asked between pieces; true ends it with kInterrupted.
    static Result<SyntheticFile> write(const ModelShape& shape, const std::filesystem::path& folder,
                                       const std::function<bool()>& stop);
    /// By which this process and copies of it can open it.
    std::filesystem::path path() const { return file_.path(); }
    std::int64_t bytes() const { return bytes_; }

private:
    SyntheticFile(system::NamelessFile file, std::int64_t bytes) : file_(std::move(file)), bytes_(bytes) {}
    system::NamelessFile file_;
    std::int64_t bytes_;
};

}  // namespace velollm::model
