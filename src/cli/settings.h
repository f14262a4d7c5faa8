#pragma once

#include <velollm/result.h>

#include <string>
#include <vector>

#include "system/system.h"

namespace CLI {
class App;
}

namespace velollm::cli {

/// Puts the settings of --config FILE, else of velollm.json in the user's config folder, in front of what was typed for
/// the command of `app` that `arguments` name, so that the words of the user win.
Result<void> add_settings(std::vector<std::string>& arguments, const CLI::App& app, const system::System& system);

}  // namespace velollm::cli
