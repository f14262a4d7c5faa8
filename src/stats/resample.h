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
/// are what the jackknife is right for. `worth`: so many independent requests these are worth (effective_n()). Nothing
/// below 6 requests or a worth of 6, or without a denominator. Source: Efron, Tibshirani, An Introduction to the
/// Bootstrap (1993), chapter 11.
std::optional<SumRatio> jackknife_ratio(const std::vector<double>& numerators, const std::vector<double>& denominators,
                                        std::optional<double> worth = {});

/// By drawing blocks of `block` neighbouring requests anew, with replacement and around the end, `draws` times; the
/// middle 95 % of what comes out. Blocks keep what neighbours have in common. The same seed gives the same interval.
/// Nothing below 30 requests, where this covers too little: 83 % of means of 5 (method 3.2). Source: Politis, Romano,
/// in Exploring the Limits of Bootstrap (1992).
std::optional<SumRatio> bootstrap_ratio(const std::vector<double>& numerators, const std::vector<double>& denominators,
                                        std::size_t block, std::uint64_t seed, std::size_t draws = 10'000);

/// The one of both that fits: the jackknife, from 20 requests on with what correlated ones are worth; from 1000 on
/// blocks of three times n ÷ worth, which need no form of the correlation.
///
/// Measured, 3000 series each with a correlation rho of neighbours: covers 95 to 96 % at rho 0 (6 to 300 requests), 92
/// to 94 % at 0.3 (20 to 300), 88 to 94 % at 0.6 (30 to 300). Blocks cover 78 to 93 % with 100 requests, 92 to 95 %
/// with 1000. 30 requests can't tell that they are correlated with 0.9: in half of the cases that get an interval
/// there, it misses; with 100 it covers 83 %.
std::optional<SumRatio> sum_ratio(const std::vector<double>& numerators, const std::vector<double>& denominators);

}  // namespace velollm::stats
