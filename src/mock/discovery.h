#pragma once

#include <cstdint>
#include <string>

#include "mock/http_request.h"
#include "mock/plan.h"

namespace velollm::mock {

/// What the calls that clients make before they generate are answered from.
struct ServerState {
    std::string model;
    bool loaded = false;  ///< for Ollama's /api/ps
    std::int64_t slots = 4;
    std::int64_t active = 0;  ///< generations that run
    std::int64_t wall_ns = 0;
};

/// Answers every request that isn't to generate: what Ollama, llama-server and OpenAI servers tell about themselves,
/// and 404 for what none of them knows.
Plan discover(const HttpRequest& request, const ServerState& state);

/// Ollama's answer to a generate or chat request without a prompt. `done_reason` is "load" or "unload".
Plan load_reply(Wire wire, const std::string& model, const char* done_reason, std::int64_t wall_ns, bool keep_alive);

}  // namespace velollm::mock
