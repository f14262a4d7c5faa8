#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_writer.h"

namespace velollm::hardware {

/// At most so many GPUs, and parts of a GPU, are asked for: a library that counts wrong must not keep us busy.
constexpr unsigned kMaxLibraryGpus = 64;
constexpr unsigned kMaxGpuParts = 16;

/// A loaded vendor library. It is never closed: the process that loaded it ends.
class LoadedLibrary {
public:
    explicit LoadedLibrary(void* handle) : handle_(handle) {}

    /// The function `name`, else the one of its older form, else null.
    template <typename F>
    F find(const char* name, const char* older = nullptr) const {
        void* symbol = symbol_of(name);
        if (symbol == nullptr && older != nullptr) symbol = symbol_of(older);
        return reinterpret_cast<F>(symbol);
    }

private:
    void* symbol_of(const char* name) const;
    void* handle_;
};

/// Text of a library, which isn't trusted to write the NUL. `size` is the most that may be read.
std::string_view bounded_text(const char* text, std::size_t size);

/// A structure that a library fills, with room behind it for one that is longer in another version.
template <typename T>
struct Roomy {
    T value{};
    std::array<std::byte, 1024> room{};
};

/// Loads the first of `files` that can be loaded and lets `write` put down what it says, unjudged, as members of one
/// JSON object. Run it in a child process: such libraries are known to hang and to crash.
///
///     {"load_error": "…"}          no file can be loaded
///     {"lacks": "nvmlInit_v2"}     it isn't that library
///     {"init": 18}                 it refused, with its return code; "library" is its version where it tells
///     {"init": 0, "count": 1, "gpus": [{"name": …, …}]}
///
/// A key stands only where the library gave a value. The keys of a GPU are those that read_library_gpu reads.
std::string ask_library(const std::vector<std::string>& files, void (*write)(base::JsonWriter&, const LoadedLibrary&));

}  // namespace velollm::hardware
