#include "model/recommend.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <tuple>
#include <utility>

#include "base/text.h"
#include "gguf/tensor_types.h"
#include "model/catalogue.h"
#include "model/fit.h"
#include "model/header.h"
#include "model/memory.h"
#include "model/traffic.h"

namespace velollm::model {
namespace {

constexpr std::int64_t kGib = std::int64_t{1} << 30U;

/// Coarsest first. Still coarser ones cost more than a smaller model does.
constexpr std::array<std::string_view, 4> kMixes{"Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0"};

/// What a rank loses by the quantisation: by bits for a weight.
double type_factor(const Candidate& candidate, std::int64_t tensor_bytes) {
    const double bits = 8 * static_cast<double>(tensor_bytes) / std::max(candidate.parameters, 1.0);
    if (bits >= 8) return 1.0;
    if (bits >= 6) return 0.99;
    if (bits >= 5.3) return 0.98;
    if (bits >= 4.1) return 0.95;
    return bits >= 3.2 ? 0.8 : 0.6;
}

double years_since_2023(const std::string& released) {
    // Of one without a date nothing is known but that somebody keeps it.
    if (released.size() != 7) return 1.5;
    const auto year = static_cast<double>(base::parse_int(released.substr(0, 4)).value_or(2024));
    const auto month = static_cast<double>(base::parse_int(released.substr(5)).value_or(6));
    return year - 2023 + (month - 1) / 12;
}

void count_parameters(const ModelShape& shape, Candidate& candidate) {
    for (const gguf::Tensor& tensor : shape.tensors) {
        const auto elements = static_cast<double>(gguf::element_count(tensor).value_or(0));
        const bool routed = shape.experts > 0 && tensor.name.find("_exps.") != std::string::npos;
        const auto used = static_cast<double>(std::min(shape.experts_used, shape.experts));
        candidate.parameters += elements;
        candidate.active_parameters += routed ? elements * used / static_cast<double>(shape.experts) : elements;
    }
}

/// Places models on one machine and says how fast they are there.
class Machine {
public:
    Machine(const RecommendQuestion& question, const Hardware& hardware)
        : question_(question), host_room_(host_room(hardware.memory.available_bytes)) {
        memory_.settings.context_tokens = question.context_tokens;
        memory_.settings.outputs = memory_.settings.sequences;  // as a server has it
        memory_.settings.key_type = question.cache_type;
        memory_.settings.value_type = question.cache_type;
        const auto& features = hardware.cpu.features;
        const auto has = [&](std::string_view name) {
            return std::find(features.begin(), features.end(), name) != features.end();
        };
        memory_.repacked = repacked_types(has("avx2"), has("avx512f"));
        if (!hardware.gpus.empty() && hardware.gpus.front().usable_bytes)
            gpu_room_ = gpu_room(*hardware.gpus.front().usable_bytes);
    }

    void judge(const ModelShape& shape, Candidate& candidate) const {
        candidate.trained_context = shape.context;
        count_parameters(shape, candidate);
        candidate.rank = rank_of(candidate) * type_factor(candidate, tensor_bytes(shape.tensors));
        candidate.bytes_per_token = decode_traffic(shape, 0, question_.cache_type, question_.cache_type).total_bytes();
        if (!is_known(shape.architecture)) {
            candidate.refusal = Refusal::kArchitecture;
            return;
        }
        MemoryQuestion memory = place(shape, candidate);
        if (shape.context < question_.context_tokens) {
            candidate.refusal = Refusal::kContext;
        } else if (candidate.needed_bytes > candidate.limit_bytes) {
            candidate.refusal = Refusal::kMemory;
        } else {
            candidate.largest_context = largest_context(shape, std::move(memory), candidate.limit_bytes);
            candidate.speed =
                forecast(shape, 0, candidate.bytes_per_token, candidate.on_gpu ? question_.gpu : question_.host);
            const auto likely = candidate.likely_tps();
            if (likely && *likely < question_.least_tps.value_or(kReadingTps)) candidate.refusal = Refusal::kSpeed;
        }
    }

    std::optional<std::int64_t> gpu_limit() const { return gpu_room_; }
    std::int64_t host_limit() const { return host_room_; }

private:
    MemoryQuestion place(const ModelShape& shape, Candidate& candidate) const {
        MemoryQuestion memory = memory_;
        // Weights alone tell of most models that they are too large for the GPU.
        if (gpu_room_ && decode_traffic(shape, 0, 0, 0).weights_bytes <= *gpu_room_) {
            memory.gpu_layers = static_cast<std::int64_t>(shape.blocks.size()) + 1;
            candidate.needed_bytes = memory_by_formula(shape, memory).gpu.total_bytes();
            candidate.limit_bytes = *gpu_room_;
            candidate.on_gpu = candidate.needed_bytes <= *gpu_room_;
            if (candidate.on_gpu) return memory;
        }
        memory.gpu_layers = 0;
        candidate.needed_bytes = memory_by_formula(shape, memory).host_needed_bytes();
        candidate.limit_bytes = host_room_;
        return memory;
    }

    const RecommendQuestion& question_;
    MemoryQuestion memory_;
    std::int64_t host_room_ = 0;
    std::optional<std::int64_t> gpu_room_;
};

/// All quantisations of one model.
using Family = std::vector<Candidate>;

std::vector<std::string_view> mixes_of(const serde::CatalogueModel& model) {
    const bool usual = std::find(kMixes.begin(), kMixes.end(), model.quantization) != kMixes.end();
    if (!usual) return {model.quantization};
    return {kMixes.begin(), kMixes.end()};
}

Family family_of(const serde::CatalogueModel& model, const Machine& machine) {
    Family family;
    for (const std::string_view mix : mixes_of(model)) {
        const auto shape = in_mix(shape_of(model), mix);
        if (!shape) continue;  // a test makes every one
        Candidate candidate;
        candidate.model = model.name;
        candidate.quantization = shape->quantization;
        candidate.released = model.released;
        machine.judge(*shape, candidate);
        family.push_back(std::move(candidate));
        // Finer ones need more, and know no more tokens.
        if (family.back().refusal == Refusal::kMemory || family.back().refusal == Refusal::kContext) break;
    }
    return family;
}

/// What is here takes the place of the same in the catalogue.
void add_stored(std::map<std::string, Family>& families, const StoredModel& stored, const Machine& machine) {
    const serde::CatalogueModel* known = find_model(stored.name);
    Candidate candidate;
    candidate.model = stored.name;
    candidate.quantization = stored.shape.quantization;
    candidate.here = true;
    candidate.released = known == nullptr ? "" : known->released;
    machine.judge(stored.shape, candidate);
    Family& family = families[known == nullptr ? stored.name : known->name];
    std::erase_if(family,
                  [&](const Candidate& other) { return !other.here && other.quantization == candidate.quantization; });
    family.push_back(std::move(candidate));
}

/// Of one model: better quantisations first; of two alike the one that is here.
bool is_better(const Candidate& a, const Candidate& b) {
    return std::tuple(a.rank, a.here) > std::tuple(b.rank, b.here);
}

/// The one that came nearest: the smallest of those that failed last.
const Candidate& nearest(const Family& family) {
    return *std::min_element(family.begin(), family.end(), [](const Candidate& a, const Candidate& b) {
        const bool a_slow = a.refusal == Refusal::kSpeed;
        const bool b_slow = b.refusal == Refusal::kSpeed;
        return std::tuple(!a_slow, a.needed_bytes) < std::tuple(!b_slow, b.needed_bytes);
    });
}

/// Tokens a second, or a figure in proportion where none is known.
double pace(const Candidate& candidate) {
    return candidate.likely_tps().value_or(1e9 /
                                           static_cast<double>(std::max<std::int64_t>(candidate.bytes_per_token, 1)));
}

/// The best of those that are `times` as fast as what is wanted and as the best of all.
std::optional<Candidate> best_of(const std::vector<const Candidate*>& open, double times, double least_tps,
                                 double pace_of_best) {
    const Candidate* found = nullptr;
    for (const Candidate* candidate : open) {
        const auto likely = candidate->likely_tps();
        const bool fast = pace(*candidate) >= times * pace_of_best && (!likely || *likely >= times * least_tps);
        if (fast && (found == nullptr || is_better(*candidate, *found))) found = candidate;
    }
    return found == nullptr ? std::nullopt : std::optional(*found);
}

Picks pick(const std::map<std::string, Family>& families, double least_tps) {
    std::vector<const Candidate*> open;
    for (const auto& [name, family] : families)
        for (const Candidate& candidate : family)
            if (candidate.refusal == Refusal::kNone) open.push_back(&candidate);
    const bool any_on_gpu = std::any_of(open.begin(), open.end(), [](const Candidate* c) { return c->on_gpu; });
    const bool any_known = std::any_of(open.begin(), open.end(),
                                       [&](const Candidate* c) { return c->on_gpu == any_on_gpu && c->speed.decode; });
    // Beside a GPU, the machine's memory is worth a thought only where both speeds are known.
    std::erase_if(open, [&](const Candidate* c) {
        if (any_on_gpu && !c->on_gpu && !(any_known && c->speed.decode)) return true;
        return any_known && !c->speed.decode;
    });
    Picks picks;
    picks.best = best_of(open, 1, least_tps, 0);
    if (!picks.best) return picks;
    picks.balanced = best_of(open, 2, least_tps, pace(*picks.best));
    picks.fast = best_of(open, 4, least_tps, pace(*picks.best));
    return picks;
}

}  // namespace

std::string_view refusal_name(Refusal refusal) {
    switch (refusal) {
        case Refusal::kNone: return "none";
        case Refusal::kMemory: return "memory";
        case Refusal::kContext: return "context";
        case Refusal::kSpeed: return "speed";
        case Refusal::kArchitecture: break;
    }
    return "architecture";
}

double rank_of(const Candidate& candidate) {
    const double billions = std::sqrt(candidate.parameters * candidate.active_parameters) / 1e9;
    return billions * std::exp2(years_since_2023(candidate.released));
}

std::int64_t gpu_room(std::int64_t usable_bytes) {
    return std::max<std::int64_t>(usable_bytes - kGib, 0);
}

std::int64_t host_room(std::int64_t available_bytes) {
    return available_bytes - std::min(available_bytes / 10, kGib);
}

Recommendation recommend(const RecommendQuestion& question, const std::vector<StoredModel>& stored,
                         const Hardware& hardware) {
    const Machine machine(question, hardware);
    std::map<std::string, Family> families;
    for (const serde::CatalogueModel& model : catalogue()) families[model.name] = family_of(model, machine);
    for (const StoredModel& model : stored) add_stored(families, model, machine);

    Recommendation result{.context_tokens = question.context_tokens,
                          .cache_type = question.cache_type,
                          .least_tps = question.least_tps.value_or(kReadingTps),
                          .least_asked = question.least_tps.has_value(),
                          .engine = question.host.engine,
                          .threads = question.host.threads,
                          .gpu_limit_bytes = machine.gpu_limit(),
                          .host_limit_bytes = machine.host_limit(),
                          .host_gbps = question.host.read_gbps};
    if (machine.gpu_limit()) {
        result.gpu_name = hardware.gpus.front().name;
        result.gpu_gbps = question.gpu.read_gbps;
    }
    result.picks = pick(families, result.least_tps);
    for (auto& [name, family] : families) {
        // What fits the GPU is worth more than finer types beside it.
        std::stable_sort(family.begin(), family.end(), [](const Candidate& a, const Candidate& b) {
            return a.on_gpu != b.on_gpu ? a.on_gpu : is_better(a, b);
        });
        const auto fits = [](const Candidate& candidate) { return candidate.refusal == Refusal::kNone; };
        const auto best = std::find_if(family.begin(), family.end(), fits);
        if (best != family.end()) {
            result.fitting.push_back(*best);
        } else if (!family.empty()) {
            result.refused.push_back(nearest(family));
        }
    }
    std::stable_sort(result.fitting.begin(), result.fitting.end(), is_better);
    std::stable_sort(result.refused.begin(), result.refused.end(), is_better);
    return result;
}

}  // namespace velollm::model
