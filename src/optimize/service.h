#pragma once

#include <velollm/result.h>
#include <velollm/time.h>

#include <string>
#include <utility>
#include <vector>

#include "optimize/apply.h"
#include "optimize/observe.h"

namespace velollm::optimize {

/// The unit of systemd that runs the server which was seen: asked of `systemctl`, of the system's and then of the
/// user's own. Empty where none says that its main process is that server.
Service find_service(const Observed& observed, const system::System& system, Clock& clock);

/// Reads the units anew and starts this one again. Waits for its end.
Result<void> restart_service(const Applied& applied, const system::System& system, Clock& clock);

/// Asks the server until it answers.
Result<void> wait_for_answer(const Target& target, const system::System& system, Clock& clock, Ns limit);

/// The models of an Ollama, and one beside them with other PARAMETER lines. An address as Observed has it.
Result<std::string> tag_digest(const std::string& url, const std::string& tag, const system::System& system,
                               Clock& clock);
Result<void> create_tag(const std::string& url, const std::string& tag, const std::string& from,
                        const std::vector<std::pair<std::string, std::string>>& parameters,
                        const system::System& system, Clock& clock);
/// Has an Ollama load a model, so that there is something to read settings from.
Result<void> load_model(const std::string& url, const std::string& model, const system::System& system, Clock& clock);
Result<void> delete_tag(const std::string& url, const std::string& tag, const system::System& system, Clock& clock);

}  // namespace velollm::optimize
