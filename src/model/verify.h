#pragma once

#include <velollm/result.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "model/memory.h"

namespace velollm::model {

/// One term of a model's memory, by formula and by the engine's own account, in bytes.
struct VerifiedTerm {
    std::int64_t formula = 0;
    std::int64_t engine = 0;

    /// Of the formula, as a share of the engine's account; 0 where both are nothing.
    double error() const {
        if (engine == 0) return formula == 0 ? 0 : HUGE_VAL;
        return static_cast<double>(formula - engine) / static_cast<double>(engine);
    }
};

/// One setting.
struct VerifiedMemory {
    backend::MemorySettings settings;
    std::optional<Error> refused;  ///< why the engine gives no account; the terms are empty then
    VerifiedTerm weights;
    VerifiedTerm cache;  ///< keys, values and recurrent states
    VerifiedTerm compute;

    /// Weights and cache within 0.5 %, the compute buffer within 5 %.
    bool good() const {
        return !refused && std::abs(weights.error()) <= 0.005 && std::abs(cache.error()) <= 0.005 &&
               std::abs(compute.error()) <= 0.05;
    }
};

/// Compares the formulas with the engine, for contexts of 4k, 32k and all that the model was trained for, and caches of
/// f16 and q8_0, on the processor, one sequence, as a server has it. `file`: of the model; empty when it isn't here.
std::vector<VerifiedMemory> verify_memory(const std::filesystem::path& file, const ModelShape& shape);

}  // namespace velollm::model
