#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace velollm::stats {

/// sum(numerators) ÷ sum(denominators) with a 95 % interval.
struct SumRatio {
    double value = 0.0;
    double lower = 0.0;
    double upper = 0.0;
};

/// By leaving each request out once: the spread of what is left, with Student's t. Smooth statistics such as this one
/// are what the jackknife is right for. Nothing below 6 requests, or without a denominator. Source: Efron, Tibshirani,
/// An Introduction to the Bootstrap (1993), chapter 11.
std::optional<SumRatio> jackknife_ratio(const std::vector<double>& numerators, const std::vector<double>& denominators);

/// By drawing blocks of `block` neighbouring requests anew, with replacement and around the end, `draws` times; the
/// middle 95 % of what comes out. Blocks keep what neighbours have in common. The same seed gives the same interval.
/// Nothing below 30 requests, where this covers too little: 83 % of means of 5 (method 3.2). Source: Politis, Romano,
/// in Exploring the Limits of Bootstrap (1992).
std::optional<SumRatio> bootstrap_ratio(const std::vector<double>& numerators, const std::vector<double>& denominators,
                                        std::size_t block, std::uint64_t seed, std::size_t draws = 10'000);

/// The one of both that fits: blocks from 30 requests on, of a length by how much neighbours resemble each other (cube
/// root of n at least), else the jackknife.
std::optional<SumRatio> sum_ratio(const std::vector<double>& numerators, const std::vector<double>& denominators);

}  // namespace velollm::stats
