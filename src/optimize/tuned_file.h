#pragma once

#include <optional>
#include <string>

#include "optimize/plan.h"
#include "optimize/search.h"
#include "system/system.h"

namespace velollm::optimize {

/// The file is schema/velollm-tuned-1.schema.json. What its key stands for: model (name, bytes, quantisation), engine
/// and version, processor and GPUs with their drivers, threads, profile, limits, what was asked, memory in steps of 2
/// GiB, and the settings in force that a user or a file chose. When any of these changes, it is searched anew.
std::string tuned_key(const Facts& facts, const std::string& prompt);

/// The choice that a search with this key ended in; nothing when there was none. A file that can't be read counts as
/// none: it is only a saving of time.
std::optional<Choice> read_tuned(const system::System& system, const std::string& key);
void keep_tuned(const system::System& system, const std::string& key, const Choice& choice);
void forget_tuned(const system::System& system, const std::string& key);

}  // namespace velollm::optimize
