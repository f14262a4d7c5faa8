#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace velollm::gguf {

/// Longest header that is taken for one. The largest vocabularies take some 20 MB.
inline constexpr std::uint64_t kMaxHeaderBytes = std::uint64_t{256} << 20U;

/// Reads little-endian values one after the other from the beginning of a file.
///
/// Invariant: after the first read that failed every read gives 0 or an empty text and moves no further, so that a
/// caller checks once a step instead of after every field.
class Reader {
public:
    enum class State {
        kOk,
        kShort,   ///< the bytes end before the value does
        kAbsurd,  ///< a length that no header has: waiting for more bytes is pointless
    };

    explicit Reader(std::string_view bytes) : bytes_(bytes.substr(0, kMaxHeaderBytes)) {}

    State state() const { return state_; }
    bool ok() const { return state_ == State::kOk; }
    std::uint64_t position() const { return position_; }

    template <std::unsigned_integral T>
    T number() {
        return static_cast<T>(little_endian(take(sizeof(T))));
    }

    /// A text with its length in front, as every text of the format.
    std::string_view text() { return take(number<std::uint64_t>()); }

    std::string_view take(std::uint64_t count) {
        if (!ok()) return {};
        if (count > kMaxHeaderBytes - position_) {
            state_ = State::kAbsurd;
            return {};
        }
        if (count > bytes_.size() - position_) {
            state_ = State::kShort;
            return {};
        }
        const std::string_view taken = bytes_.substr(position_, count);
        position_ += taken.size();
        return taken;
    }

    /// At most 8 bytes as a number, without a sign.
    static std::uint64_t little_endian(std::string_view bytes) {
        std::uint64_t value = 0;
        for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8U | static_cast<unsigned char>(bytes[i]);
        return value;
    }

private:
    std::string_view bytes_;
    std::size_t position_ = 0;
    State state_ = State::kOk;
};

}  // namespace velollm::gguf
