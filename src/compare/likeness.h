#pragma once

#include <velollm/result.h>

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "compare/side.h"

namespace velollm::compare {

/// What a difference between two runs does to their comparison.
enum class Weight {
    kShown,     ///< what a before and after is about: engine version, settings
    kDeclared,  ///< the reader named it as the object, or the command that measured both in turn did
    kRefuses,
};
std::string_view weight_name(Weight weight);

struct Difference {
    std::string key;  ///< of an identity, or "status", "tool"
    std::string baseline;
    std::string other;
    Weight weight = Weight::kRefuses;

    bool operator==(const Difference&) const = default;
};

/// How the runs differ in what they were measured on. Unknown is not different. `varied`: keys that the reader
/// declared.
///
/// Allowed: engine version, settings, speculation, another name of the same weights, a context that a setting (num_ctx)
/// asked for. Between runs measured in turn by one command: the engine.
std::vector<Difference> differences(const Match& match, const std::set<std::string>& varied);

/// Keys that matter and that one side doesn't tell while the other does.
std::vector<std::string> unknown_traits(const Match& match);

/// "engine_version,context" as keys of an identity.
Result<std::set<std::string>> read_varied(std::string_view text);

/// Whether answers are so unlike in length (1 %) that times of whole requests can't be compared.
bool lengths_differ(const Match& match);

// ---- Words ----

/// The key behind a short name: "context" is context_tokens.
std::string identity_key(std::string_view name);
bool is_identity_key(std::string_view name);
/// All short names: "workload, model, ...".
std::string known_keys();
/// "context_tokens" as "context".
std::string title_of(const std::string& key);
/// A digest cut to what tells it apart.
std::string short_value(const std::string& value);
/// Whether a count of tokens differs by no more than words of a nonce do: 2 % or 2 tokens of a prompt, 1 % of an
/// answer. Of other keys: never.
bool same_count(const std::string& key, const std::string& from, const std::string& to);
/// The higher, the less the run is worth.
int rank_of_status(std::string_view status);

}  // namespace velollm::compare
