#pragma once

#include <velollm/result.h>

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace velollm::system {

/// A file that has no name in any folder: it goes with this object, and when the process dies, however it dies.
class NamelessFile {
public:
    /// In the file system of `folder`, which is made where it is missing. Where that can't have nameless files the name
    /// is taken away at once.
    static Result<NamelessFile> make(const std::filesystem::path& folder);
    NamelessFile(NamelessFile&& other) noexcept;
    NamelessFile& operator=(NamelessFile&&) = delete;
    ~NamelessFile();

    /// Takes the space of a file of so many bytes, so that writing it can't fail half-way for want of space. File
    /// systems that can't promise it are let pass.
    Result<void> reserve(std::int64_t bytes);
    /// Writes at the end.
    Result<void> append(std::string_view bytes);
    /// By which this process and copies of it can open it.
    std::filesystem::path path() const;

private:
    NamelessFile(int fd, std::filesystem::path folder) : fd_(fd), folder_(std::move(folder)) {}
    int fd_;
    std::filesystem::path folder_;
};

}  // namespace velollm::system
