#include "model/pace_rounds.h"

#include <fmt/core.h>

#include <algorithm>

namespace velollm::model {
namespace {

/// One sample that nobody disturbed.
Result<backend::PaceSample> undisturbed(const backend::PaceSpec& spec, const RoundRules& rules,
                                        const std::function<bool()>& stop) {
    double least = 0;
    for (int i = 0; i < rules.most_tries; ++i) {
        const auto sample = backend::time_engine(spec, stop);
        if (!sample) return sample.error();
        const double others = std::max(sample->prefill.others_cores, sample->decode.others_cores);
        if (others < rules.most_others_cores) return *sample;
        least = i == 0 ? others : std::min(least, others);
    }
    return Error{ErrorCode::kFailed,
                 fmt::format("The machine is busy: others used {:.2f} cores during the measurement, {:.2f} are allowed",
                             least, rules.most_others_cores),
                 "Close other programs and try again, or leave --measure out."};
}

}  // namespace

Result<std::vector<FilePaces>> time_in_rounds(const std::vector<std::filesystem::path>& files, backend::PaceSpec spec,
                                              const RoundRules& rules, const std::function<void(int)>& told,
                                              const std::function<bool()>& stop) {
    std::vector<FilePaces> paces(files.size());
    int done = 0;
    for (int round = 0; round < rules.rounds; ++round) {
        for (std::size_t i = 0; i < files.size(); ++i) {
            const std::size_t file = round % 2 == 0 ? i : files.size() - 1 - i;
            if (told) told(done++);
            spec.file = files[file];
            const auto sample = undisturbed(spec, rules, stop);
            if (!sample) return sample.error();
            paces[file].prefill.push_back(sample->prefill.seconds_per_token());
            paces[file].decode.push_back(sample->decode.seconds_per_token());
        }
    }
    return paces;
}

}  // namespace velollm::model
