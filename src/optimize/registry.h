#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "serde/knob_list.h"

namespace velollm::optimize {

using serde::Knob;

/// The settings of data/knobs.json, as they were when the program was built.
const serde::KnobList& registry();

/// Compares versions by their numbers: "0.9" < "0.30.1-rc2". A single number is a build of llama.cpp from before it had
/// versions ("4567", "b4567"), older than all others. An unknown version, "", counts as the newest.
bool version_less(std::string_view a, std::string_view b);

/// `since` <= version < `before`; an empty bound binds nothing.
bool in_range(std::string_view version, std::string_view since, std::string_view before);

/// The knob of this name or alias that the engine reads in this version through this channel; nullptr when there is
/// none.
const Knob* find_knob(std::string_view engine, std::string_view version, std::string_view channel,
                      std::string_view name);

/// Its name and its aliases.
std::vector<std::string> names_of(const Knob& knob);

/// The knob that sets `setting` through this channel; nullptr when there is none.
const Knob* knob_for(std::string_view engine, std::string_view version, std::string_view channel,
                     std::string_view setting);

/// What an engine makes of a name.
enum class NameUse {
    kRead,      ///< a knob, or read for another end
    kDead,      ///< known to be read by nobody in this version
    kMisspelt,  ///< unknown, and close to a name that is read
    kUnknown,
};
struct NameVerdict {
    NameUse use = NameUse::kUnknown;
    std::string reason;   ///< why it is dead
    std::string instead;  ///< what works, where something does
    std::string setting;  ///< what was meant, where that is plain
};
NameVerdict judge_name(std::string_view engine, std::string_view version, std::string_view channel,
                       std::string_view name);

/// This engine version reads the name through this channel.
bool is_read(std::string_view engine, std::string_view version, std::string_view channel, std::string_view name);

/// The name belongs to an engine, by its looks or by the registry, and holds no secret: what of an environment is kept
/// and shown.
bool is_engine_variable(std::string_view name);

}  // namespace velollm::optimize
