#pragma once

#include <velollm/run.h>

#include <cstddef>
#include <optional>
#include <vector>

namespace velollm::metrics {

/// Where the time of a request goes: means over the samples, so that the parts add up to the whole. Parts marked * are
/// by the engine's own clock, and absent where it doesn't tell them; the part before then holds them too.
struct Waterfall {
    std::size_t n = 0;
    /// From sending to the begin of reading the prompt: the way there, queue, template, tokenising; and the first
    /// token's way back. Where the engine doesn't tell its prompt time: the whole time to the first token.
    Ns before{};
    std::optional<Ns> load;      ///< * part of `before`: waiting for the model to be in memory
    std::optional<Ns> inside;    ///< * part of `before` and `after`: what the server's total has beside its other times
    std::optional<Ns> prompt;    ///< * reading the prompt
    std::optional<Ns> decode;    ///< * from the first to the last token
    Ns stream{};                 ///< from the first to the last token by our clock, beyond `decode`; may be negative
    Ns after{};                  ///< from the last token to the end of the answer
    Ns whole{};                  ///< from sending to the end
    double decode_tokens = 0.0;  ///< generated from the first to the last token
};

/// Nothing without samples.
std::optional<Waterfall> waterfall(const Run& run, const std::vector<std::size_t>& samples);

/// Speed of one engine ÷ speed of another, request by request in rounds that both took part in.
struct SpeedRatio {
    std::size_t n = 0;
    double median = 0.0;
    std::optional<double> lower;  ///< 95 % interval of the median; absent below 6 rounds
    std::optional<double> upper;
};

/// Decode speeds of `run` ÷ `base`; requests of the same number belong together. Nothing without a common round.
std::optional<SpeedRatio> decode_ratio(const Run& run, const std::vector<std::size_t>& samples, const Run& base,
                                       const std::vector<std::size_t>& base_samples);

}  // namespace velollm::metrics
