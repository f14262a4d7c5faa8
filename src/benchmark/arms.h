#pragma once

#include <velollm/benchmark.h>
#include <velollm/hardware.h>
#include <velollm/spec.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "benchmark/ab.h"
#include "benchmark/session.h"
#include "system/system.h"

namespace velollm::benchmark {

/// Whether settings take effect with a load only, so that one of them is in force at a time: all but running servers at
/// different addresses, and requests that differ in themselves.
bool need_loads(const std::vector<TargetSpec>& targets);

/// Several settings to be measured in turn, block by block.
class Arms {
public:
    /// `config`: the request that all get. `warm_up`: requests behind each load that don't count.
    /// Sessions refer to it: it stays where it is.
    Arms(std::vector<TargetSpec> targets, BenchmarkConfig config, std::int64_t warm_up, const system::System& system,
         const Hardware& hardware, Clock& clock, std::function<bool()> stop);

    Arms(const Arms&) = delete;
    Arms& operator=(const Arms&) = delete;

    /// Finds the engine and the model of each.
    Result<void> connect();
    /// One more, found at once. Gives its number.
    Result<std::size_t> add(TargetSpec target);
    /// Others with settings that need loads will be added: all have a load in each block. Before connect().
    void load_each_time() { reloads_ = true; }
    /// So many requests at a time, in a closed loop, and as many times more of them in a block; 1 without this.
    void send_at_once(int in_flight) { in_flight_ = in_flight; }
    /// Watches the machine for so long before anything is loaded. Nothing when stopped.
    std::optional<HostReport> watch_idle(Ns time);
    /// A block: a load and the warm-up where settings need one, then the requests. Those that ended badly, were
    /// answered from a cache or met a reload don't count; why, is in `notes`.
    Result<Block> measure(std::size_t arm, std::size_t requests);
    /// What the arm answers to a fixed question, greedily, right after a load.
    Result<std::string> answer(std::size_t arm);
    /// Leaves no model of ours in memory, also after a stop. One that a running Ollama held before is not loaded again:
    /// its next request does that.
    void leave();

    bool reloads() const { return reloads_; }
    const TargetInfo& info(std::size_t arm) const { return infos_[arm]; }
    const LoadedModel& loaded(std::size_t arm) const { return sessions_[arm]->prepared().loaded; }
    /// Findings of all blocks so far, each once: "B: 2 requests don't count: ...".
    const std::vector<std::string>& notes() const { return notes_; }

private:
    Result<Ns> bring_in(std::size_t arm);
    Result<Run> run_in_turn(Session& session, const std::string& text, std::size_t requests);
    Run run_at_once(Session& session, const std::string& text, std::size_t requests);
    std::unique_ptr<Session> make_session(TargetSpec target) const;
    Result<void> connect_to(Session& session);
    void take_note(std::string note);

    BenchmarkConfig config_;
    std::int64_t warm_up_;
    const Hardware& hardware_;
    int in_flight_ = 1;
    Clock& clock_;
    const system::System& system_;
    std::function<bool()> stop_;
    bool reloads_;
    bool leaving_ = false;
    std::vector<std::unique_ptr<Session>> sessions_;
    std::vector<TargetInfo> infos_;
    std::optional<std::size_t> in_memory_;
    std::vector<bool> prepared_;
    std::vector<std::string> notes_;
};

/// The share of a text that another one begins with alike; 1: they are the same.
double common_share(const std::string& a, const std::string& b);

}  // namespace velollm::benchmark
