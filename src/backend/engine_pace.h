#pragma once

#include <velollm/result.h>
#include <velollm/time.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace velollm::backend {

/// What the engine is to be timed with.
struct PaceSpec {
    std::filesystem::path file;
    int threads = 1;
    std::int64_t depth = 0;  ///< tokens in the context before those that are timed
    std::int64_t prefill_tokens = 256;
    Ns decode_time = std::chrono::seconds(1);  ///< about so long tokens are generated
    std::uint32_t key_type = 1;                ///< of the cache: numbers of gguf/tensor_types.h
    std::uint32_t value_type = 1;
};

/// One stretch of work.
struct Pace {
    std::int64_t tokens = 0;
    Ns time{};
    double others_cores = 0;  ///< CPU time of everybody else meanwhile, stolen time included, per second

    double seconds_per_token() const { return to_seconds(time) / static_cast<double>(tokens); }
};

struct PaceSample {
    Pace prefill;
    Pace decode;
};

/// Loads a model, warms it up, and times it once: prefill of random tokens in one batch, then decode one token a call,
/// without choosing tokens. The weights are read into memory of their own and not mapped, so that every load draws
/// anew where they lie. Runs in a copy of this process, which must have one thread only; fails where the engine does,
/// with kInterrupted when `stop` says so, and in a build without the engine.
Result<PaceSample> time_engine(const PaceSpec& spec, const std::function<bool()>& stop);

}  // namespace velollm::backend
