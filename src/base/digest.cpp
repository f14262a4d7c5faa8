#include "base/digest.h"

#include <fmt/core.h>
#include <openssl/evp.h>

#include <array>
#include <cstdint>

namespace velollm::base {

std::string sha256_hex(std::string_view bytes) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, EVP_sha256(), nullptr);
    std::string hex;
    for (unsigned i = 0; i < length; ++i) hex += fmt::format("{:02x}", digest[i]);
    return hex;
}

std::string uuid_v7(std::int64_t unix_ms, std::uint64_t random_a, std::uint64_t random_b) {
    const auto ms = static_cast<std::uint64_t>(unix_ms);
    const std::uint64_t variant = 0x8000U | (random_b >> 48U & 0x3FFFU);
    return fmt::format("{:08x}-{:04x}-7{:03x}-{:04x}-{:012x}", ms >> 16U & 0xFFFFFFFFU, ms & 0xFFFFU, random_a & 0xFFFU,
                       variant, random_b & 0xFFFFFFFFFFFFULL);
}

}  // namespace velollm::base
