#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace velollm::base {

/// SHA-256 of `bytes` as 64 lower-case hexadecimal digits.
std::string sha256_hex(std::string_view bytes);

/// A new UUID of version 7 (RFC 9562): 48 bits of `unix_ms`, the rest from `random_a` and `random_b`. Sorts by time.
std::string uuid_v7(std::int64_t unix_ms, std::uint64_t random_a, std::uint64_t random_b);

}  // namespace velollm::base
