#pragma once

#include <fmt/core.h>

#include <fstream>
#include <string>

#include "backend/http_backend.h"
#include "load/engine.h"
#include "load/schedule.h"
#include "support/fakes.h"
#include "wire/json_reader.h"

namespace velollm::test {

/// Reads a recorded exchange of tests/traces (its README has the format). With `piece` > 0 every chunk is cut into
/// pieces of that many bytes, all with the chunk's time.
inline Exchange read_trace(const std::string& file, std::size_t piece = 0) {
    std::ifstream in(std::string(VELOLLM_TESTS_DIR) + "/traces/" + file);
    Exchange exchange;
    std::string line;
    std::getline(in, line);  // the request
    wire::JsonReader json;
    std::getline(in, line);
    if (!json.parse(line)) throw std::runtime_error("no such trace: " + file);
    exchange.status = static_cast<int>(json.integer("/status").value());
    exchange.header = std::chrono::microseconds(json.integer("/t_us").value());
    while (std::getline(in, line) && json.parse(line)) {
        const Ns at = std::chrono::microseconds(json.integer("/t_us").value());
        const std::string data(json.text("/data").value());
        const std::size_t step = piece == 0 ? data.size() : piece;
        for (std::size_t i = 0; i < data.size(); i += step) exchange.chunks.emplace_back(at, data.substr(i, step));
    }
    return exchange;
}

inline backend::Target target_of(const backend::Dialect& dialect, std::string model = "smollm2:135m") {
    const bool ollama = dialect.kind == "ollama";
    backend::Target target{.spec = {.backend = ollama ? "ollama" : "llamacpp", .model = std::move(model)}};
    target.base = wire::parse_url("http://localhost:11434", 0).value();
    return target;
}

/// Sends one request to a server that answers with `exchange`.
inline RequestRecord replay(const backend::Dialect& dialect, Exchange exchange, std::int64_t max_tokens = 48) {
    FakeClock clock;
    auto transport = std::make_unique<FakeTransport>(clock);
    transport->script.push_back(std::move(exchange));
    const auto backend = backend::make_http_backend(dialect, target_of(dialect), std::move(transport), clock);
    const Run run = load::run_load(load::closed_loop(1, 1), {{.text = "hi", .max_tokens = max_tokens}}, *backend, clock,
                                   std::chrono::seconds(60), {});
    return run.requests.at(0);
}

}  // namespace velollm::test
