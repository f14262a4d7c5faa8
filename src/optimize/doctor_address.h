#pragma once

#include <velollm/time.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/transport.h"
#include "optimize/doctor.h"
#include "system/system.h"

namespace velollm::optimize {

/// Names of the models that an Ollama has, newest first; nothing when none answers.
std::optional<std::vector<std::string>> listed_models(const Target& target, const system::System& system, Clock& clock);
/// A model that it holds now.
std::optional<std::string> loaded_model(const Target& target, const system::System& system, Clock& clock);

/// What answers at the target's address, whatever it is.
AtAddress ask_address(const Target& target, const system::System& system, Clock& clock);

/// Servers of the target's engine at other ports of this machine, or at the same one without the address's path.
std::vector<Elsewhere> find_elsewhere(const Target& target, const system::System& system, Clock& clock);

/// What the answers to GET /api/version, /props, /v1/models and / say that a server is.
struct ServerAnswers {
    http::HttpResponse version;
    http::HttpResponse props;
    http::HttpResponse models;
    http::HttpResponse root;
};
AtAddress judge_answers(const ServerAnswers& answers);

/// TCP ports that somebody listens at, from the text of /proc/net/tcp or tcp6.
std::vector<int> listening_ports(std::string_view proc_net_tcp);

}  // namespace velollm::optimize
