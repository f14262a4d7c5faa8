#pragma once

#include <velollm/backend.h>

#include <functional>
#include <memory>
#include <optional>

#include "backend/http_backend.h"
#include "http/transport.h"
#include "system/process.h"
#include "system/system.h"

namespace velollm::backend {

/// What a server of our own is made with: `transport` makes one for each start, `stop` is asked while it starts.
struct ServerTools {
    system::System system;
    Clock& clock;
    std::function<std::unique_ptr<http::HttpTransport>()> transport;
    std::function<bool()> stop;
};

/// A server that runs, and the backend that asks it.
struct StartedServer {
    system::Process process;
    std::unique_ptr<Backend> inner;  ///< behind the process: its connections close first
    TargetInfo info;
    Ns took{};  ///< until it was ready
};

/// One kind of server: how it is started, and what is to be told of its model once that is loaded. `first`: by the
/// start that came just before.
struct ServerKind {
    std::function<Result<StartedServer>()> start;
    std::function<void(const StartedServer&, bool first, LoadedModel&)> complete;
    std::size_t kept_log_bytes = 0;  ///< older output is dropped while measuring
};

/// What is said when a server doesn't get ready.
struct Waiting {
    std::string path;  ///< answered with 200 once it is
    Ns patience{};
    std::string while_stopped;  ///< "Stopped while Ollama was starting"
    std::function<Error(const system::ProcessEnd&, const std::string& output)> ended;
    std::function<Error(const std::string& output)> late;
};

/// Asks until the server is ready, has ended, or was waited for long enough.
Result<void> wait_until_ready(const Waiting& waiting, const Target& target, system::Process& process,
                              http::HttpTransport& transport, const ServerTools& tools, std::size_t log_bytes);

/// describe() starts the server; load() has it load the model; unload() stops it, and the next load() starts it again.
/// Its end comes with the backend's.
std::unique_ptr<Backend> make_started_server(ServerKind kind);

}  // namespace velollm::backend
