#include "gguf/gguf.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>
#include <vector>

#include "base/text.h"

namespace velollm::gguf {
namespace fs = std::filesystem;
namespace {

struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
};

Error unreadable(const fs::path& path, std::error_code code) {
    return {ErrorCode::kFailed, fmt::format("Cannot read {}: {}", path.string(), code.message()),
            code == std::errc::permission_denied ? "Give your user the right to read it: see ls -l."
                                                 : "Check the path, and the disk that it is on."};
}

/// Names of the GGUF files in a folder; none when it can't be listed.
std::vector<std::string> gguf_files(const fs::path& folder) {
    std::vector<std::string> names;
    std::error_code error;
    fs::directory_iterator entry(folder.empty() ? fs::path(".") : folder, error);
    for (; !error && entry != fs::directory_iterator(); entry.increment(error))
        if (entry->path().extension() == ".gguf") names.push_back(entry->path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
}

Error missing(const fs::path& path) {
    const std::string near = base::nearest_names(path.filename().string(), gguf_files(path.parent_path()), true);
    return {ErrorCode::kModelNotFound, fmt::format("Model file not found: {}", path.string()),
            near.empty() ? "Check the path." : fmt::format("Did you mean {}?", near)};
}

Error folder(const fs::path& path) {
    const auto names = gguf_files(path);
    return {ErrorCode::kFailed, fmt::format("{} is a folder, not a GGUF file", path.string()),
            names.empty() ? "Give the path of a model in GGUF format (*.gguf)."
                          : fmt::format("Give the file itself, e.g. {}", (path / names.front()).string())};
}

/// Refuses what isn't a file with something in it; gives the size.
Result<std::uint64_t> checked_size(const fs::path& path) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (status.type() == fs::file_type::not_found) return missing(path);
    if (!fs::status_known(status)) return unreadable(path, error);
    if (fs::is_directory(status)) return folder(path);
    // A pipe would block when it is opened, and can be read only once.
    if (!fs::is_regular_file(status))
        return Error{ErrorCode::kFailed, fmt::format("{} is a device or a pipe, not a file", path.string()),
                     "Save the model in a file first."};
    const std::uint64_t size = fs::file_size(path, error);
    if (error) return unreadable(path, error);
    if (size == 0)
        return Error{ErrorCode::kFailed, fmt::format("{} is empty", path.string()),
                     "The download never began. Download it again."};
    return size;
}

}  // namespace

Result<ModelFile> read_model_file(const fs::path& path) {
    const auto size = checked_size(path);
    if (!size) return size.error();
    const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rbe"));
    if (!file) return unreadable(path, std::error_code(errno, std::generic_category()));

    // Read rather than mapped: a file that another program shortens meanwhile must end in a message, not in SIGBUS.
    std::uint64_t file_bytes = *size;
    std::string bytes;
    for (std::uint64_t wanted = std::uint64_t{1} << 20U;; wanted *= 4) {
        const std::size_t had = bytes.size();
        bytes.resize(std::min({wanted, file_bytes, kMaxHeaderBytes}));
        const std::size_t got = std::fread(bytes.data() + had, 1, bytes.size() - had, file.get());
        if (std::ferror(file.get()) != 0) return unreadable(path, std::error_code(errno, std::generic_category()));
        if (had + got < bytes.size()) {
            bytes.resize(had + got);
            file_bytes = bytes.size();
        }
        auto header = parse_header(bytes, file_bytes, path.string());
        if (!header) continue;
        if (!*header) return header->error();
        return ModelFile{path, static_cast<std::int64_t>(file_bytes), std::move(**header)};
    }
}

}  // namespace velollm::gguf
