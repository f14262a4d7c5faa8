#pragma once

#include <velollm/result.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "backend/engine_pace.h"

namespace velollm::model {

/// Seconds a token in each round that counted, of one file.
struct FilePaces {
    std::vector<double> prefill;
    std::vector<double> decode;
};

/// What the rounds ask of the machine.
struct RoundRules {
    int rounds = 5;
    /// A sample counts when others used less than so much of a core during it: what a neighbour takes of memory and
    /// caches doesn't show otherwise.
    double most_others_cores = 0.05;
    int most_tries = 3;  ///< of one sample
};

/// Times the files in turn, in rounds whose order is reversed every other time (A B, B A, ...), so that drift falls on
/// all of them. Each sample loads its file anew. A sample beside others' load is taken again; when one can't be had in
/// `most_tries`, it fails and says how busy the machine is. `told` is called before each sample with how many are done.
Result<std::vector<FilePaces>> time_in_rounds(const std::vector<std::filesystem::path>& files, backend::PaceSpec spec,
                                              const RoundRules& rules, const std::function<void(int)>& told,
                                              const std::function<bool()>& stop);

}  // namespace velollm::model
