#pragma once

#include <velollm/backend.h>
#include <velollm/benchmark.h>
#include <velollm/hardware.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "load/engine.h"
#include "load/nonce.h"
#include "system/system.h"

namespace velollm::benchmark {

/// What a model needed before it could be measured.
struct Preparation {
    TargetInfo target;
    LoadedModel loaded;
    std::size_t warm_up_requests = 0;
};

/// The road from "there may be an engine" to results: connect, prepare, measure. One model at a time.
class Session {
public:
    /// `stop` is asked all the time; true ends whatever goes on.
    Session(TargetSpec target, system::System system, Hardware hardware, Clock& clock, std::function<bool()> stop);

    /// Finds the engine and the model (empty: the target's own). Fails within seconds.
    Result<TargetInfo> connect(const std::string& model);

    /// Loads and warms up. The first requests after a load are slower than the rest (memory is touched for the first
    /// time, clocks rise, kernels are chosen): they are made, and never counted. `reload`: unload first, so that the
    /// load time is one.
    Result<Preparation> prepare(const BenchmarkConfig& first, bool reload);

    /// Measures. Gives a result even when requests fail: its summary says what it is worth. `on_request` sees every
    /// finished request; `live` is for a display.
    BenchmarkResult measure(const BenchmarkConfig& config, const std::function<void(const RequestRecord&)>& on_request,
                            load::LiveCounters* live);

    /// Set when the engine went away while measuring: going on makes no sense.
    const std::optional<Error>& lost() const { return lost_; }
    const Hardware& hardware() const { return hardware_; }

private:
    Run run_prompts(const BenchmarkConfig& config, std::int64_t requests, std::int64_t max_tokens,
                    const load::Watch& watch);

    TargetSpec target_;
    system::System system_;
    Hardware hardware_;
    Clock& clock_;
    std::function<bool()> stop_;
    load::NonceSource nonces_;
    std::unique_ptr<Backend> backend_;
    Preparation prepared_;
    std::optional<Error> lost_;
};

}  // namespace velollm::benchmark
