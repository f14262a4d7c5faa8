#pragma once

#include <velollm/hardware.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/shape.h"
#include "model/speed.h"

namespace velollm::model {

/// A model that is on this machine.
struct StoredModel {
    std::string name;  ///< as its store shows it
    ModelShape shape;
};

struct RecommendQuestion {
    std::int64_t context_tokens = 4096;
    std::uint32_t cache_type = 0;     ///< number of gguf/tensor_types.h, for keys and values
    std::optional<double> least_tps;  ///< likely decode speed that is wanted at least; absent: kReadingTps
    SpeedGrounds host;                ///< for a model in the machine's memory
    SpeedGrounds gpu;                 ///< for one on the first GPU; not looked at without one
};

/// As fast as people read. What is slower isn't recommended, unless that was asked for.
inline constexpr double kReadingTps = 5.0;

/// Why a model isn't recommended.
enum class Refusal {
    kNone,
    kMemory,        ///< it needs more than may be taken
    kContext,       ///< it was trained for less than the wanted context
    kSpeed,         ///< it fits, and is too slow
    kArchitecture,  ///< of a model in the store: the formulas don't know its kind
};
std::string_view refusal_name(Refusal refusal);

/// A model in one quantisation on this machine.
struct Candidate {
    std::string model;  ///< its name in the catalogue, or in the store
    std::string quantization;
    bool here = false;             ///< in the store
    std::string released;          ///< "2024-09"; empty when unknown
    double parameters = 0;         ///< all
    double active_parameters = 0;  ///< that work on one token
    std::int64_t trained_context = 0;
    bool on_gpu = false;  ///< all of it on the first GPU
    std::int64_t needed_bytes = 0;
    std::int64_t limit_bytes = 0;                 ///< what it may take there
    std::optional<std::int64_t> largest_context;  ///< that fits; absent where it doesn't fit
    std::int64_t bytes_per_token = 0;             ///< read for one, with nothing before it
    SpeedForecast speed;                          ///< of a model that fits
    double rank = 0;                              ///< higher is likely better: see rank_of
    Refusal refusal = Refusal::kNone;

    std::optional<double> likely_tps() const {
        return speed.decode ? std::optional(speed.decode->likely) : std::nullopt;
    }
};

/// What to take, from the best answers to the fastest ones. The second is at least twice as fast as the first, and the
/// third four times, both also against what is wanted at least.
struct Picks {
    std::optional<Candidate> best;
    std::optional<Candidate> balanced;
    std::optional<Candidate> fast;
};

struct Recommendation {
    std::int64_t context_tokens = 0;
    std::uint32_t cache_type = 0;
    double least_tps = kReadingTps;
    bool least_asked = false;  ///< by the user
    std::string engine;
    int threads = 1;
    std::string gpu_name;                         ///< of the first GPU whose usable memory is known; empty: none
    std::optional<std::int64_t> gpu_limit_bytes;  ///< what a model may take of it
    std::int64_t host_limit_bytes = 0;
    std::optional<double> gpu_gbps;   ///< theoretical
    std::optional<double> host_gbps;  ///< measured
    Picks picks;
    std::vector<Candidate> fitting;  ///< each model in its best quantisation that fits, best first
    std::vector<Candidate> refused;  ///< each model in the quantisation that came nearest, best first
};

/// How good a model's answers are likely to be next to others: parameters, doubled for each year that it is younger, a
/// little less for coarser types. Of experts the geometric mean of all parameters and those that work on a token
/// counts. A rule of thumb for an order: nothing of it is measured.
double rank_of(const Candidate& candidate);

/// What a model may take of a GPU's memory: all but the 1 GiB that llama.cpp leaves free as well (--fit-target).
std::int64_t gpu_room(std::int64_t usable_bytes);
/// What it may take of the machine's: a tenth stays free, at most 1 GiB.
std::int64_t host_room(std::int64_t available_bytes);

/// Goes through the catalogue, in Q4_K_M and finer (a model that is published in another mix alone: in that), and
/// through what is stored here. By formula alone. A model goes to the GPU where it fits, else to the machine's memory.
Recommendation recommend(const RecommendQuestion& question, const std::vector<StoredModel>& stored,
                         const Hardware& hardware);

}  // namespace velollm::model
