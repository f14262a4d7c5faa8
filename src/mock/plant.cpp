#include "mock/plant.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string_view>

namespace velollm::mock {
namespace {

Ns seconds(double value) {
    return Ns(std::llround(value * 1e9));
}

std::int64_t words(std::string_view text) {
    std::int64_t count = 0;
    bool inside = false;
    for (const char c : text) {
        const bool space = c == ' ' || c == '\n' || c == '\t';
        count += !space && !inside ? 1 : 0;
        inside = !space;
    }
    return count;
}

}  // namespace

double Plant::normal() {
    // Box and Muller; std::normal_distribution differs between libraries.
    const double u = 1.0 - random_.uniform();
    return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * random_.uniform());
}

double Plant::next_factor() {
    const Drift& drift = spec_.drift;
    double slow = 0.0;
    if (drift.kind == Drift::Kind::kLinear) slow = drift.size * requests_ / drift.period;
    if (drift.kind == Drift::Kind::kWarmUp) slow = drift.size * std::exp(-requests_ / drift.period);
    if (drift.kind == Drift::Kind::kSawTooth)
        slow = drift.size * std::fmod(requests_, drift.period) / std::max(drift.period - 1.0, 1.0);
    requests_ += 1.0;
    double factor = std::exp(spec_.noise * normal()) / (1.0 + slow);
    if (random_.uniform() < spec_.outlier_share) factor /= spec_.outlier_factor;
    return factor;
}

double Plant::next_load_factor() {
    return std::exp(spec_.load_noise * normal());
}

double Plant::next_prompt_factor() {
    return spec_.prompt_noise > 0.0 ? std::exp(spec_.prompt_noise * normal()) : 1.0;
}

Result<TargetInfo> PlantEngine::describe() {
    TargetInfo info;
    info.kind = "plant";
    info.display_name = "Simulated engine";
    return info;
}

Result<LoadedModel> PlantEngine::load() {
    LoadedModel loaded;
    loaded.was_resident = loaded_;
    if (!loaded_) {
        plant_.clock().pass(plant_.spec().reload);
        load_factor_ = plant_.next_load_factor();
        loaded.took = plant_.spec().reload;
        loaded_ = true;
    }
    return loaded;
}

Result<void> PlantEngine::unload() {
    loaded_ = false;
    return {};
}

void PlantEngine::start(RequestId id, const Prompt& prompt, TokenSink& sink) {
    const PlantSpec& spec = plant_.spec();
    const double factor = plant_.next_factor() * load_factor_ * gain_;
    const std::int64_t prompt_tokens = words(prompt.text);
    running_ = {.id = id,
                .sink = &sink,
                .prompt_tokens = prompt_tokens,
                .tokens = prompt.max_tokens,
                .factor = factor,
                .begin = plant_.clock().now(),
                .first = seconds(static_cast<double>(prompt_tokens) /
                                 (spec.prefill_tps * factor * prompt_gain_ * plant_.next_prompt_factor())),
                .gap = seconds(1.0 / (spec.decode_tps * factor))};
    sink.on_sent(id, plant_.clock().now(), std::nullopt);
}

void PlantEngine::cancel(RequestId id) {
    if (running_ && running_->id == id) running_.reset();
}

void PlantEngine::poll(TimePoint until) {
    if (!running_) {
        plant_.clock().pass(until - plant_.clock().now());
        return;
    }
    Running& run = *running_;
    const TimePoint due = run.begin + run.first + run.sent * run.gap;
    if (due > until) {
        plant_.clock().pass(until - plant_.clock().now());
        return;
    }
    plant_.clock().pass(due - plant_.clock().now());
    if (run.sent == 0) run.sink->on_first_byte(run.id, due);
    run.sink->on_tokens(run.id, due, {.text = "word ", .tokens = 1});
    if (++run.sent < run.tokens) return;
    Completion done;
    done.server.prompt_tokens = run.prompt_tokens;
    done.server.cached_tokens = 0;
    done.server.output_tokens = run.tokens;
    done.server.prompt_eval = run.first;
    done.server.eval = (run.tokens - 1) * run.gap;
    done.server.finish = FinishReason::kLength;
    TokenSink& sink = *run.sink;
    const RequestId id = run.id;
    running_.reset();
    sink.on_done(id, due, done);
}

}  // namespace velollm::mock
