#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/memory.h"
#include "optimize/plan.h"

namespace velollm::optimize {

/// A plan on its way: rules add findings, and change `settings`, so that a later rule judges what will be.
struct Draft {
    const Facts& facts;
    Settings settings;
    Plan plan = {};

    Draft(const Facts& all) : facts(all), settings(all.settings) {}
};

/// A change through the first of `channels` that the engine version has for this setting; nothing when none has.
std::optional<Change> change_of(const Draft& draft, std::string_view setting, std::string value,
                                const std::vector<std::string>& channels);

/// A plan without findings: what it is made from.
Plan plan_frame(const Facts& facts);
/// The draft's plan with its id.
Plan finish_plan(Draft& draft);

/// Adds the finding with words for verifying and undoing its changes, and takes the changes over into the settings.
void add(Draft& draft, Finding finding);

// ---- Where the model lies ----

/// The memory that a model goes to, and what it may take there.
struct Place {
    bool gpu = false;
    std::int64_t limit_bytes = 0;  ///< 0: unknown
    std::string name;              ///< "GPU memory", "memory"
};
Place place_of(const Facts& facts, const Settings& settings);

/// The processor does some of the work: there is no GPU, it isn't used, or the model is known to hang over its edge.
bool processor_computes(const Facts& facts, const Settings& settings);

/// What is asked of the model's memory with these settings; nothing where the context is unknown.
std::optional<model::MemoryQuestion> question_of(const Facts& facts, const Settings& settings, const Place& place);
std::int64_t needed_bytes(const Facts& facts, const model::MemoryQuestion& question, const Place& place);

/// The largest value of num_ctx, a multiple of 1024, that fits with the rest as asked; 0: none does.
std::int64_t most_context(const Facts& facts, const model::MemoryQuestion& question, const Place& place);

/// Slots of a llama-server that its context is divided among; 1 where each may have all of it.
std::int64_t divided_by(const Facts& facts);

/// Layers that guess several tokens ahead, which a draft-mtp reads.
bool has_prediction_layers(const model::ModelShape& shape);

/// Threads that the engine computes with: chosen by somebody, else what it takes by itself; and how many can run at
/// once.
int threads_in_force(const Facts& facts);
int threads_budget(const Facts& facts);

// ---- The rules, in the order in which they are asked ----
void rule_threads(Draft& draft);      ///< R1
void rule_parallel(Draft& draft);     ///< R4: before R2, since it costs nothing
void rule_context(Draft& draft);      ///< R2, and what is too large altogether
void rule_cache_type(Draft& draft);   ///< R3
void rule_experts(Draft& draft);      ///< R5
void rule_batch(Draft& draft);        ///< R6
void rule_attention(Draft& draft);    ///< R7
void rule_gpu_unused(Draft& draft);   ///< R8
void rule_reloads(Draft& draft);      ///< R9
void rule_keep_alive(Draft& draft);   ///< R10
void rule_dead_names(Draft& draft);   ///< R11
void rule_speculation(Draft& draft);  ///< R12

/// "3.00 GiB", "512 MiB".
std::string size_words(std::int64_t bytes);

}  // namespace velollm::optimize
