#pragma once

#include <string>
#include <utility>
#include <vector>

#include "optimize/plan.h"
#include "optimize/search.h"

namespace velollm::optimize {

/// How thorough a search is.
struct TuneBudget {
    Ns time = std::chrono::minutes(20);
    bool quick() const { return time < std::chrono::minutes(10); }        ///< with short prompts
    bool all_stages() const { return time >= std::chrono::minutes(60); }  ///< also those that rarely help
};
/// quick, normal, thorough.
std::optional<TuneBudget> parse_budget(std::string_view name);

/// What is tried on this machine, and what isn't, with the reason.
struct StagePlan {
    std::vector<Stage> stages;
    std::vector<std::pair<std::string, std::string>> skipped;  ///< "S1 placement", "no GPU is here"
};

/// Stages S1 to S7: only settings that the engine's version reads and that can act on this machine, only values that
/// fit its memory, and lossy ones only where the user allows them. `environment`: variables of the server can be set,
/// since one of our own is started.
StagePlan tune_stages(const Facts& facts, const TuneBudget& budget, bool environment);

/// Tokens of text in front of the prompt that is measured: long ones for profiles with long prompts, as far as the
/// context holds them.
std::int64_t test_depth(const Facts& facts, const TuneBudget& budget);

/// A setting with those that must move with it: what is measured is what is written.
std::vector<std::pair<std::string, std::string>> parts_of(const Facts& facts, const std::string& setting,
                                                          const std::string& value);

/// "threads=2, spec_type=ngram-mod".
std::string choice_words(const Choice& choice);

/// The words by which backend::set_option() brings a choice into force. `environment`: as of tune_stages(); a variable
/// is then what is measured wherever it is what tuned_plan() proposes.
std::vector<std::string> words_of(const Facts& facts, const Choice& choice, bool environment);

/// Of the command line of a llama-server that runs, what one of our own must have to be its like: no model, no address,
/// no key.
std::vector<std::string> flags_to_copy(const std::vector<std::string>& words);

/// Tokens of a turn of the profile, new ones in the prompt and the answer.
Turn turn_of(Profile profile);

/// What a block costs for the profile: seconds of a turn; for batch, seconds of the machine for each token.
std::function<std::optional<double>(const benchmark::Block&)> cost_of(Profile profile);

/// The plan that a search ends in: the changes of its best choice with what was measured, or none and why. A change
/// that makes something else worse only with `accept_tradeoffs`.
Plan tuned_plan(const Facts& facts, const SearchResult& result, bool environment, bool accept_tradeoffs);

}  // namespace velollm::optimize
