#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace velollm::base {

/// Ascending or not, many numbers in few characters: differences to the one before (the first to 0) as 64-bit
/// little-endian integers, compressed as zlib does it (RFC 1950), in Base64 (RFC 4648). In Python:
///   numpy.cumsum(numpy.frombuffer(zlib.decompress(base64.b64decode(text)), "<i8"))
std::string pack(const std::vector<std::int64_t>& numbers);

}  // namespace velollm::base
