#include "benchmark/arms.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "hardware/telemetry.h"

namespace velollm::benchmark {
namespace {

/// Threads of an engine go on spinning for a while after its last token: the next one must not meet them.
constexpr Ns kPause = std::chrono::milliseconds(50);
constexpr Ns kQuietNap = std::chrono::milliseconds(1);
constexpr std::int64_t kAnswerTokens = 48;
constexpr const char* kQuestion = "Count from one to twenty in words, then name the colours of the rainbow.";

/// A server that runs, and goes on running whatever we do.
bool is_running_server(const TargetSpec& target) {
    if (target.backend == "openai") return true;
    if (target.backend == "ollama") return !target.own_server;
    return target.backend == "llamacpp" && !target.url.empty();
}

bool same_engine_options(const EngineOptions& a, const EngineOptions& b) {
    return a.num_ctx == b.num_ctx && a.num_batch == b.num_batch && a.num_gpu == b.num_gpu &&
           a.num_thread == b.num_thread;
}

}  // namespace

bool need_loads(const std::vector<TargetSpec>& targets) {
    for (const TargetSpec& target : targets) {
        if (!is_running_server(target)) return true;
        const TargetSpec& first = targets.front();
        const bool same_place = target.backend == first.backend && target.url == first.url;
        // One Ollama reloads its model for other options, and may drop one for another.
        if (target.backend == "ollama" && same_place &&
            (target.model != first.model || !same_engine_options(target.options, first.options)))
            return true;
    }
    return false;
}

double common_share(const std::string& a, const std::string& b) {
    const std::size_t longest = std::max(a.size(), b.size());
    if (longest == 0) return 1.0;
    const auto ends = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    return static_cast<double>(ends.first - a.begin()) / static_cast<double>(longest);
}

Arms::Arms(std::vector<TargetSpec> targets, BenchmarkConfig config, std::int64_t warm_up, const system::System& system,
           const Hardware& hardware, Clock& clock, std::function<bool()> stop)
    : config_(std::move(config)),
      warm_up_(warm_up),
      hardware_(hardware),
      clock_(clock),
      system_(system),
      stop_(std::move(stop)),
      reloads_(need_loads(targets)),
      prepared_(targets.size(), false) {
    for (TargetSpec& target : targets) sessions_.push_back(make_session(std::move(target)));
}

std::unique_ptr<Session> Arms::make_session(TargetSpec target) const {
    Protocol protocol;
    protocol.quiet_check = Ns{0};
    protocol.cache_check = false;
    protocol.warm_up = warm_up_;
    // What is in memory must go also after the user's stop.
    return std::make_unique<Session>(std::move(target), system_, hardware_, protocol, clock_,
                                     [this] { return !leaving_ && stop_ && stop_(); });
}

Result<void> Arms::connect_to(Session& session) {
    auto info = session.connect("");
    if (!info) return info.error();
    infos_.push_back(std::move(*info));
    // A server that was started to be looked at would take memory and time from the others.
    if (reloads_) return session.leave();
    return {};
}

Result<void> Arms::connect() {
    for (const auto& session : sessions_)
        if (const auto connected = connect_to(*session); !connected) return connected;
    return {};
}

Result<std::size_t> Arms::add(TargetSpec target) {
    leave();
    auto session = make_session(std::move(target));
    if (const auto connected = connect_to(*session); !connected) return connected.error();
    sessions_.push_back(std::move(session));
    prepared_.push_back(false);
    return sessions_.size() - 1;
}

std::optional<HostReport> Arms::watch_idle(Ns time) {
    hardware::HostWatch watch(system_, {}, kQuietNap);
    const TimePoint end = clock_.now() + time;
    while (clock_.now() < end) {
        if (stop_ && stop_()) return std::nullopt;
        system::nap(std::min<Ns>(end - clock_.now(), std::chrono::milliseconds(100)));
    }
    return watch.report();
}

Result<Ns> Arms::bring_in(std::size_t arm) {
    if (!reloads_) {
        if (!prepared_[arm]) {
            const auto ready = sessions_[arm]->prepare(config_, false);
            if (!ready) return ready.error();
            prepared_[arm] = true;
        }
        return Ns{0};
    }
    if (in_memory_ && *in_memory_ != arm) {
        if (const auto gone = sessions_[*in_memory_]->leave(); !gone) return gone.error();
    }
    in_memory_ = arm;
    return sessions_[arm]->load_anew(config_);
}

Result<Run> Arms::run_in_turn(Session& session, const std::string& text, std::size_t requests) {
    Run run;
    for (std::size_t i = 0; i < requests; ++i) {
        if (stop_ && stop_()) return Error{ErrorCode::kInterrupted, "Stopped while measuring", ""};
        system::nap(kPause);
        const std::string nonce = session.new_nonce();
        auto record = session.request({.text = nonce + text, .max_tokens = config_.max_tokens, .seed = session.seed()});
        if (!record || record->outcome == Outcome::kCancelled)
            return Error{ErrorCode::kInterrupted, "Stopped while measuring", ""};
        record->id = i;
        record->nonce = nonce.substr(0, nonce.find('\n'));
        run.wall += record->done.value_or(Ns{0});
        run.requests.push_back(std::move(*record));
    }
    return run;
}

Run Arms::run_at_once(Session& session, const std::string& text, std::size_t requests) {
    std::vector<Prompt> prompts;
    for (std::size_t i = 0; i < requests * static_cast<std::size_t>(in_flight_); ++i)
        prompts.push_back(
            {.text = session.new_nonce() + text, .max_tokens = config_.max_tokens, .seed = session.seed()});
    system::nap(kPause);
    return session.requests(prompts, in_flight_);
}

Result<Block> Arms::measure(std::size_t arm, std::size_t requests) {
    const auto took = bring_in(arm);
    if (!took) return took.error();
    Session& session = *sessions_[arm];
    const std::string text = session.filled_prompt(config_);
    auto run =
        in_flight_ > 1 ? Result<Run>(run_at_once(session, text, requests)) : run_in_turn(session, text, requests);
    if (!run) return run.error();
    if (run->interrupted) return Error{ErrorCode::kInterrupted, "Stopped while measuring", ""};
    if (session.lost()) return *session.lost();
    Block block;
    block.load = *took;
    block.wall = run->wall;
    block.model_bytes = session.prepared().loaded.bytes;
    const BenchmarkResult judged = session.conclude(config_, text, "", std::move(*run));
    for (const Finding& finding : judged.summary.findings)
        if (finding.level == Level::kInvalid || finding.code == "early_eos" || finding.code == "reloaded")
            take_note(fmt::format("{}: {}", arm == 0 ? "A" : arm == 1 ? "B" : fmt::format("{}", arm), finding.message));
    for (const std::size_t sample : judged.summary.samples) block.requests.push_back(judged.run.requests[sample]);
    return block;
}

Result<std::string> Arms::answer(std::size_t arm) {
    const auto took = bring_in(arm);
    if (!took) return took.error();
    return sessions_[arm]->answer({.text = kQuestion, .max_tokens = kAnswerTokens, .seed = sessions_[arm]->seed()});
}

void Arms::leave() {
    if (!reloads_ || !in_memory_) return;
    leaving_ = true;
    (void)sessions_[*in_memory_]->leave();  // it may have gone away by itself
    leaving_ = false;
    in_memory_.reset();
}

void Arms::take_note(std::string note) {
    if (std::find(notes_.begin(), notes_.end(), note) == notes_.end()) notes_.push_back(std::move(note));
}

}  // namespace velollm::benchmark
