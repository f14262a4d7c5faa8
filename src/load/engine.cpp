#include "load/engine.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "load/recorder.h"

namespace velollm::load {
namespace {

/// Longest wait between two looks at the stop question. A signal ends a wait at once; this bounds the case where it
/// arrives just before the wait begins.
constexpr Ns kMaxWait = std::chrono::milliseconds(100);
constexpr int kStartsInARow = 32;

class Loop {
public:
    Loop(const Schedule& schedule, const std::vector<Prompt>& prompts, Backend& backend, Clock& clock, Ns idle_timeout,
         const Watch& watch)
        : schedule_(schedule),
          prompts_(prompts),
          backend_(backend),
          clock_(clock),
          idle_timeout_(idle_timeout),
          watch_(watch),
          begin_(clock.now()),
          recorder_(begin_, watch.live, watch.keep_text) {
        run_.closed_loop = schedule.closed_loop;
    }

    Run run() {
        assert(prompts_.size() == schedule_.due.size());
        backend_.take_read_health();  // of what went before
        while (more_to_send() || recorder_.open() > 0) {
            if (watch_.stop && watch_.stop()) {
                interrupt();
                break;
            }
            const TimePoint now = clock_.now();
            // Not all at once: what has been sent is answered meanwhile, and must be read in time.
            for (int started = 0; started < kStartsInARow && can_start(now); ++started) start_next();
            give_up_silent(clock_.now());
            poll_once();
            report_done();
        }
        run_.wall = clock_.now() - begin_;
        run_.client.reads = backend_.take_read_health();
        std::sort(run_.requests.begin(), run_.requests.end(),
                  [](const RequestRecord& a, const RequestRecord& b) { return a.id < b.id; });
        return std::move(run_);
    }

private:
    bool place_free() const { return recorder_.open() < static_cast<std::size_t>(schedule_.max_in_flight); }

    bool more_to_send() const { return next_ < prompts_.size() && !enough_; }

    bool can_start(TimePoint now) const {
        return more_to_send() && place_free() && begin_ + schedule_.due[next_] <= now;
    }

    void start_next() {
        const Prompt& prompt = prompts_[next_];
        const RequestId id = next_;
        if (!schedule_.closed_loop && kept_waiting_) ++run_.cap_reached;
        kept_waiting_ = false;
        recorder_.begin(id, schedule_.closed_loop ? clock_.now() - begin_ : schedule_.due[next_], prompt.max_tokens);
        ++next_;
        backend_.start(id, prompt, recorder_);
    }

    void give_up_silent(TimePoint now) {
        for (const RequestId id : recorder_.silent_since(now - idle_timeout_)) {
            backend_.cancel(id);
            recorder_.give_up(id, now, Outcome::kTimeout);
        }
    }

    void poll_once() {
        const TimePoint begun = clock_.now();
        TimePoint until = begun + kMaxWait;
        if (more_to_send() && !place_free() && begin_ + schedule_.due[next_] <= begun) kept_waiting_ = true;
        if (more_to_send() && place_free()) until = std::min(until, std::max(begin_ + schedule_.due[next_], begun));
        if (const auto oldest = recorder_.oldest_progress()) until = std::min(until, *oldest + idle_timeout_);
        backend_.poll(until);
        const Ns lag = clock_.now() - until;
        if (lag > Ns{0}) run_.client.worst_poll_lag = std::max(lag, run_.client.worst_poll_lag.value_or(Ns{0}));
    }

    void report_done() {
        for (RequestRecord& record : recorder_.take_done()) {
            if (watch_.on_request_done) watch_.on_request_done(record);
            run_.requests.push_back(std::move(record));
            enough_ = watch_.enough && watch_.enough(run_.requests);
        }
    }

    void interrupt() {
        run_.interrupted = true;
        const TimePoint now = clock_.now();
        for (const RequestId id : recorder_.silent_since(now)) {  // every open one: none has news from the future
            backend_.cancel(id);
            recorder_.give_up(id, now, Outcome::kCancelled);
        }
        report_done();
    }

    const Schedule& schedule_;
    const std::vector<Prompt>& prompts_;
    Backend& backend_;
    Clock& clock_;
    Ns idle_timeout_;
    const Watch& watch_;
    TimePoint begin_;
    Recorder recorder_;
    Run run_;
    std::size_t next_ = 0;
    bool enough_ = false;
    bool kept_waiting_ = false;  // the next request has been due while no place was free
};

}  // namespace

Run run_load(const Schedule& schedule, const std::vector<Prompt>& prompts, Backend& backend, Clock& clock,
             Ns idle_timeout, const Watch& watch) {
    return Loop(schedule, prompts, backend, clock, idle_timeout, watch).run();
}

}  // namespace velollm::load
