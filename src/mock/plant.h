#pragma once

#include <velollm/backend.h>
#include <velollm/time.h>

#include <cstdint>
#include <optional>

#include "base/split_mix.h"

namespace velollm::mock {

/// Time that passes only when somebody lets it: hours of measuring take no time, and give the same numbers everywhere.
class VirtualClock final : public Clock {
public:
    TimePoint now() override { return now_; }
    void pass(Ns time) { now_ += time; }

private:
    TimePoint now_{std::chrono::hours(1)};
};

/// How a simulated machine changes while it is measured. `size` is a share of the speed.
struct Drift {
    enum class Kind {
        kNone,
        kLinear,    ///< slower by `size` over each `period` requests
        kWarmUp,    ///< slower by `size` at first, which falls away with exp(-requests / period)
        kSawTooth,  ///< slower by 0 to `size` over `period` requests, then at once as fast as at first
    };
    Kind kind = Kind::kNone;
    double size = 0.0;
    double period = 1.0;  ///< requests
};

/// A machine with known truth. Spreads are standard deviations of logarithms.
struct PlantSpec {
    double decode_tps = 50.0;
    double prefill_tps = 1000.0;
    double noise = 0.03;        ///< of a request's speed
    double prompt_noise = 0.0;  ///< of its prompt's speed, beside that
    double load_noise = 0.0;    ///< of a load's: all requests until the next one share it
    double outlier_share = 0.0;
    double outlier_factor = 1.3;  ///< such a request takes so many times as long
    Drift drift = {};
    Ns reload{0};
};

/// The machine: its time, and what it does to whoever runs on it. Engines on it take turns.
class Plant {
public:
    Plant(const PlantSpec& spec, std::uint64_t seed) : spec_(spec), random_(seed) {}

    VirtualClock& clock() { return clock_; }
    const PlantSpec& spec() const { return spec_; }
    /// Factor on the next request's speed.
    double next_factor();
    /// The same of the next load, and beside next_factor() of the next prompt.
    double next_load_factor();
    double next_prompt_factor();

private:
    double normal();

    PlantSpec spec_;
    base::SplitMix random_;
    VirtualClock clock_;
    double requests_ = 0.0;
};

/// An engine on a plant with settings that make it `gain` times as fast: 1.05 is 5 % faster. It counts every token
/// exactly, and answers with as many as are asked for. Its prompt has as many tokens as words.
class PlantEngine final : public Backend {
public:
    /// `prompt_gain`: beside `gain`, of the prompt's speed alone.
    PlantEngine(Plant& plant, double gain, double prompt_gain = 1.0)
        : plant_(plant), gain_(gain), prompt_gain_(prompt_gain) {}

    Result<TargetInfo> describe() override;
    Result<LoadedModel> load() override;
    Result<void> unload() override;
    void start(RequestId id, const Prompt& prompt, TokenSink& sink) override;
    void cancel(RequestId id) override;
    void poll(TimePoint until) override;

private:
    struct Running {
        RequestId id;
        TokenSink* sink;
        std::int64_t prompt_tokens;
        std::int64_t tokens;
        std::int64_t sent = 0;  ///< tokens so far
        double factor;
        TimePoint begin;
        Ns first;  ///< after the begin
        Ns gap;
    };

    Plant& plant_;
    double gain_;
    double prompt_gain_;
    bool loaded_ = false;
    double load_factor_ = 1.0;
    std::optional<Running> running_;
};

}  // namespace velollm::mock
