#pragma once

#include <optional>
#include <string>
#include <vector>

#include "optimize/plan.h"
#include "serde/knob_list.h"

namespace velollm::optimize {

enum class ProofState {
    kVerified,
    kNotApplied,
    kCannotVerify,
};

/// Whether a setting is in force: what was expected against what the running server shows.
struct Proof {
    std::string setting;
    std::string knob;      ///< the name it was written under
    std::string expected;  ///< empty: gone
    std::string observed;  ///< empty: nothing was
    std::string place;     ///< where that stands, in words
    ProofState state = ProofState::kCannotVerify;
    std::string why;  ///< of kNotApplied and kCannotVerify
};

/// What is to be in force.
struct Expected {
    std::string setting;
    std::string value;    ///< empty: taken away
    std::string channel;  ///< it was written for
    std::string knob;
};

/// Compares each with what was seen, in the registry's order of trust, and says why one isn't in force where that can
/// be told: set in a shell that the server never saw, overridden by a Modelfile, a flag, read by no version ...
std::vector<Proof> prove(const std::vector<Expected>& expected, const Facts& facts);

/// The changes of a plan, as they are to be found.
std::vector<Expected> expected_of(const std::vector<Change>& changes);

/// What somebody set already: every engine variable of the server's environment, and the model's PARAMETER lines.
std::vector<Expected> expected_of_server(const Facts& facts);

/// The value that one place shows; nothing where it shows none.
std::optional<std::string> shown_at(const serde::ReadBack& back, const Observed& observed, const std::string& model);

/// Two spellings of one value: on and 1 and Enabled, 10m and 10m0s.
bool same_value(const std::string& type, std::string a, std::string b);

/// A line each, aligned; empty without proofs.
std::string proofs_text(const std::vector<Proof>& proofs);

std::string_view state_name(ProofState state);

}  // namespace velollm::optimize
