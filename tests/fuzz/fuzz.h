#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace velollm::fuzz {

/// Stops the run, which saves the input, when a property doesn't hold.
inline void require(bool holds, const char* property) {
    if (holds) return;
    std::fprintf(stderr, "broken property: %s\n", property);
    std::abort();
}

inline std::string_view as_text(const std::uint8_t* data, std::size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

/// A stream and where to cut it. The input names the cuts itself: a number n, n lengths, then the stream.
struct CutStream {
    std::string_view bytes;
    std::string_view lengths;

    explicit CutStream(std::string_view input) {
        if (input.empty()) return;
        const std::size_t count = static_cast<unsigned char>(input.front()) % 16U;
        input.remove_prefix(1);
        lengths = input.substr(0, count);
        bytes = input.substr(lengths.size());
    }

    /// The pieces, lengths taken in turn; a piece may be empty, as a read of nothing. One piece when no length is
    /// given.
    std::vector<std::string_view> pieces() const {
        if (lengths.find_first_not_of('\0') == std::string_view::npos) return {bytes};
        std::vector<std::string_view> out;
        std::string_view rest = bytes;
        for (std::size_t i = 0; !rest.empty(); ++i) {
            out.push_back(rest.substr(0, static_cast<unsigned char>(lengths[i % lengths.size()])));
            rest.remove_prefix(out.back().size());
        }
        return out;
    }

    /// Every byte for itself.
    std::vector<std::string_view> single_bytes() const {
        std::vector<std::string_view> out;
        for (std::size_t i = 0; i < bytes.size(); ++i) out.push_back(bytes.substr(i, 1));
        return out;
    }
};

}  // namespace velollm::fuzz
