#pragma once

#include <velollm/result.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "optimize/journal.h"
#include "optimize/plan.h"

namespace velollm::optimize {

/// What runs the server, where we may restart it.
struct Service {
    std::string unit;  ///< empty: nobody that we know of
    bool user = false;
};

/// What applying a plan comes to: worked out before anything is touched.
struct ApplyPlan {
    Applied journal;      ///< with the snapshot
    std::string content;  ///< of the one file; empty: none is written
    /// PARAMETER lines of the new tag; none: no tag is made.
    std::vector<std::pair<std::string, std::string>> parameters;
};

/// What is done to the world beside files. Tests put their own in.
struct Hands {
    std::function<Result<void>(const Applied&)> restart;
    std::function<Result<void>(const Applied&)> wait_healthy;
    /// Makes the tag and gives its digest.
    std::function<Result<std::string>(const ApplyPlan&)> make_tag;
    /// The digest of a tag that is there; empty: there is none.
    std::function<Result<std::string>(const std::string& tag)> find_tag;
    std::function<Result<void>(const std::string& tag)> remove_tag;
    /// The proof and the benchmark: an error is the reason to go back.
    std::function<Result<void>(const Applied&)> proof;
    std::function<Result<void>(const Applied&)> compare;
    /// Told of each step, once its record is on the disk.
    std::function<void(const Applied&)> at = {};
};

/// The drop-in of a unit: below the system's folder, or below the user's own.
std::filesystem::path drop_in(const Service& service, const system::System& system);

/// Works out what to write and takes the snapshot. Fails where nothing may be done: changes that need a restart and
/// nobody to ask for it, a file or a tag in the way that isn't ours.
Result<ApplyPlan> prepare_apply(const Plan& plan, const Service& service, const std::string& url,
                                const system::System& system);

/// Does it, step by step. An error behind the first step has been undone already, as far as its hint doesn't say
/// otherwise.
Result<Applied> apply(const ApplyPlan& wanted, const Hands& hands, const system::System& system);

/// Puts back what the journal names, from whatever step it stopped at. Touches nothing where a file or a tag was
/// changed since. Going back twice is as good as once.
Result<void> roll_back(Applied& applied, const Hands& hands, const system::System& system);

/// Files of the journal that aren't as they were written, in words.
std::vector<std::string> changed_since(const Applied& applied);

/// The file with our mark in front: the plan's id, and the hash of what follows.
std::string marked(const std::string& id, const std::string& content);
/// A file that marked() made and nobody has touched.
bool is_ours(std::string_view text);

}  // namespace velollm::optimize
