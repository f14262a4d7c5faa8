#include "base/packed.h"

#include <openssl/evp.h>
#include <zlib.h>

#include <limits>
#include <stdexcept>

namespace velollm::base {
namespace {

constexpr std::size_t kBytes = 8;

std::string to_bytes(const std::vector<std::int64_t>& numbers) {
    std::string bytes;
    bytes.reserve(numbers.size() * kBytes);
    std::uint64_t before = 0;
    for (const std::int64_t number : numbers) {
        const auto now = static_cast<std::uint64_t>(number);
        const std::uint64_t difference = now - before;  // modulo 2^64: no overflow, and the way back is the same
        for (std::size_t i = 0; i < kBytes; ++i) bytes += static_cast<char>((difference >> (8 * i)) & 0xffU);
        before = now;
    }
    return bytes;
}

}  // namespace

std::string pack(const std::vector<std::int64_t>& numbers) {
    const std::string bytes = to_bytes(numbers);
    uLongf size = ::compressBound(bytes.size());
    std::vector<unsigned char> packed(size);
    const auto* source = reinterpret_cast<const Bytef*>(bytes.data());
    if (::compress(packed.data(), &size, source, bytes.size()) != Z_OK)
        throw std::runtime_error("zlib could not compress");  // only for want of memory
    if (size > static_cast<uLongf>(std::numeric_limits<int>::max() / 2)) throw std::length_error("too much to pack");
    std::string text((size + 2) / 3 * 4 + 1, '\0');
    const int length =
        ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), packed.data(), static_cast<int>(size));
    text.resize(static_cast<std::size_t>(length));
    return text;
}

}  // namespace velollm::base
