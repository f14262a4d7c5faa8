#include "stats/sort.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <utility>

namespace velollm::stats {
namespace {

constexpr std::size_t kWorthIt = 8192;
constexpr unsigned kDigitBits = 11;
constexpr unsigned kDigits = 6;  // 66 bits
constexpr std::size_t kValues = std::size_t{1} << kDigitBits;

/// Whole numbers in the order of the doubles: the sign's bit turned over, and of negative values all bits.
std::uint64_t to_key(double value) {
    const auto bits = std::bit_cast<std::uint64_t>(value);
    return bits >> 63U != 0 ? ~bits : bits | (std::uint64_t{1} << 63U);
}

double from_key(std::uint64_t key) {
    return std::bit_cast<double>(key >> 63U != 0 ? key & ~(std::uint64_t{1} << 63U) : ~key);
}

std::size_t digit(std::uint64_t key, unsigned number) {
    return (key >> (number * kDigitBits)) & (kValues - 1);
}

}  // namespace

void sort_values(std::vector<double>& values) {
    std::vector<std::uint64_t> memory;
    sort_values(values, memory);
}

void sort_values(std::vector<double>& values, std::vector<std::uint64_t>& keys) {
    if (values.size() < kWorthIt) {
        std::sort(values.begin(), values.end());
        return;
    }
    // Least significant digit first; each pass keeps the order of the one before.
    if (keys.size() < values.size()) keys.resize(values.size());
    std::vector<std::array<std::size_t, kValues>> counts(kDigits);
    for (std::size_t i = 0; i < values.size(); ++i) {
        keys[i] = to_key(values[i]);
        for (unsigned d = 0; d < kDigits; ++d) ++counts[d][digit(keys[i], d)];
    }
    // The values' own memory serves as the second buffer.
    const auto pass = [&](unsigned d, auto read, auto write) {
        std::size_t at = 0;
        for (std::size_t& count : counts[d]) at += std::exchange(count, at);
        for (std::size_t i = 0; i < values.size(); ++i) {
            const std::uint64_t key = read(i);
            write(counts[d][digit(key, d)]++, key);
        }
    };
    const auto of_keys = [&](std::size_t i) { return keys[i]; };
    const auto of_values = [&](std::size_t i) { return std::bit_cast<std::uint64_t>(values[i]); };
    const auto to_keys = [&](std::size_t i, std::uint64_t key) { keys[i] = key; };
    const auto to_values = [&](std::size_t i, std::uint64_t key) { values[i] = std::bit_cast<double>(key); };
    for (unsigned d = 0; d < kDigits; d += 2) {
        pass(d, of_keys, to_values);
        pass(d + 1, of_values, to_keys);
    }
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = from_key(keys[i]);
}

}  // namespace velollm::stats
