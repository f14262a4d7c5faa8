#pragma once

#include <velollm/backend.h>
#include <velollm/benchmark.h>
#include <velollm/hardware.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "backend/tokenizer.h"
#include "benchmark/cache_check.h"
#include "benchmark/loading.h"
#include "hardware/telemetry.h"
#include "load/engine.h"
#include "load/nonce.h"
#include "system/system.h"

namespace velollm::benchmark {

/// How carefully to measure.
struct Protocol {
    Ns quiet_check = std::chrono::seconds(3);  ///< watch the machine for so long before measuring; 0: don't
    bool cache_check = true;                   ///< look for a prompt cache where the server says nothing of it
    /// Exactly so many warm-up requests; absent: until they are alike.
    std::optional<std::int64_t> warm_up;
    /// Repeat until the interval of the median decode speed is within +- this share of it, at most kMaxRuns times.
    std::optional<double> until;
};

/// Repetitions with Protocol::until: fewer than 10 make the interval cover less than it says, more than 30 are for a
/// machine that must be quietened instead (method 2.4).
inline constexpr std::int64_t kMinRuns = 10;
inline constexpr std::int64_t kMaxRuns = 30;

/// Whether these requests are enough: at least kMinRuns, and half the interval of the median decode speed is at most
/// `until` of it. "Nothing changed lately" would not do: that says how alike they are and not how near the truth.
bool narrow(const std::vector<RequestRecord>& done, double until);

/// What a model needed before it could be measured.
struct Preparation {
    TargetInfo target;
    LoadedModel loaded;
    std::vector<LoadTime> loads;  ///< see Loading
    std::optional<Ns> resident;
    std::vector<RequestRecord> warm_up;  ///< in the order they were sent; none of them counts
    bool warm_up_steady = true;
    std::optional<CacheCheck> cache;  ///< where the server says nothing of its prompt cache
    std::optional<HostReport> quiet;  ///< the machine with the engine idle
};

/// The road from "there may be an engine" to results: connect, prepare, measure. One model at a time.
class Session {
public:
    /// `stop` is asked all the time; true ends whatever goes on.
    Session(TargetSpec target, system::System system, Hardware hardware, Protocol protocol, Clock& clock,
            std::function<bool()> stop);

    /// Finds the engine and the model (empty: the target's own). Fails within seconds.
    Result<TargetInfo> connect(const std::string& model);

    /// Loads and warms up. The first requests after a load are slower than the rest (memory is touched for the first
    /// time, clocks rise, kernels are chosen): they are made, and never counted. `reload`: as of load_model().
    Result<Preparation> prepare(const BenchmarkConfig& first, bool reload);

    /// Takes the model out of memory, brings it in anew and warms it up, as prepare() did first: a load like any other.
    /// Gives what that took.
    Result<Ns> load_anew(const BenchmarkConfig& config);
    /// Takes the model out of memory, so that it doesn't disturb another one.
    Result<void> leave();

    /// Measures. Gives a result even when requests fail: its summary says what it is worth. `on_request` sees every
    /// finished request; `live` is for a display.
    BenchmarkResult measure(const BenchmarkConfig& config, const std::function<void(const RequestRecord&)>& on_request,
                            load::LiveCounters* live);

    /// The prompt behind the text that fills the context as config.context_depth asks; it still lacks a nonce. The
    /// first time that one is filled, two short requests tell how long this model's words are in tokens.
    std::string filled_prompt(const BenchmarkConfig& config);
    /// One request outside of measure(). Nothing when stopped before it.
    std::optional<RequestRecord> request(const Prompt& prompt);
    /// Requests of which so many are on their way at a time, in a closed loop.
    Run requests(const std::vector<Prompt>& prompts, int in_flight);
    /// The text that comes back for a prompt.
    Result<std::string> answer(const Prompt& prompt);
    /// A nonce to put in front of a prompt.
    std::string new_nonce() { return nonces_.next(); }
    const Preparation& prepared() const { return prepared_; }
    /// Judges and sums up requests with this prompt that were made one by one.
    BenchmarkResult conclude(const BenchmarkConfig& config, const std::string& prompt, std::string timestamp,
                             Run run) const;
    std::uint64_t seed() const { return target_.seed; }
    /// Where the engine runs, as far as that can be told.
    hardware::EnginePlace engine_place() const;
    PathTimes path_times(const BenchmarkConfig& config);

    /// Set when the engine went away while measuring: going on makes no sense.
    const std::optional<Error>& lost() const { return lost_; }
    const Hardware& hardware() const { return hardware_; }

private:
    Run run_prompts(const std::string& text, const std::vector<std::string>& nonces, std::int64_t max_tokens,
                    const load::Watch& watch);
    Run run_all(const std::vector<Prompt>& prompts, const load::Watch& watch);
    std::vector<std::string> new_nonces(std::int64_t count);
    void learn_word_length();
    Result<void> warm_up(const BenchmarkConfig& config);
    Result<void> check_quiet();
    void check_cache(const BenchmarkConfig& config);

    TargetSpec target_;
    system::System system_;
    Hardware hardware_;
    Protocol protocol_;
    Clock& clock_;
    std::function<bool()> stop_;
    load::NonceSource nonces_;
    std::unique_ptr<Backend> backend_;
    Preparation prepared_;
    std::unique_ptr<backend::Tokenizer> tokenizer_;  // only for a server that may not count
    std::optional<double> tokens_per_word_;          ///< of filler text, as this model has it
    std::uint64_t filler_seed_;
    std::optional<Error> lost_;
};

}  // namespace velollm::benchmark
