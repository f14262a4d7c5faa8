#include "metrics/waterfall.h"

#include <algorithm>
#include <map>

#include "metrics/request.h"
#include "stats/order_interval.h"
#include "stats/quantile.h"

namespace velollm::metrics {
namespace {

constexpr double kConfidence = 0.95;

/// Sums up a time that every sample must have.
class Mean {
public:
    void add(const std::optional<Ns>& time) {
        complete_ = complete_ && time.has_value();
        if (time) sum_ += *time;
        ++n_;
    }
    std::optional<Ns> value() const { return complete_ && n_ > 0 ? std::optional(sum_ / n_) : std::nullopt; }

private:
    Ns sum_{};
    std::int64_t n_ = 0;
    bool complete_ = true;
};

/// What the server's total has beside the times that it names.
std::optional<Ns> inside(const ServerReport& server) {
    if (!server.total || !server.prompt_eval || !server.eval) return std::nullopt;
    return *server.total - *server.prompt_eval - *server.eval - server.load.value_or(Ns{0});
}

std::map<RequestId, double> decode_speeds(const Run& run, const std::vector<std::size_t>& samples) {
    std::map<RequestId, double> speeds;
    for (const std::size_t i : samples) {
        const RequestRecord& record = run.requests[i];
        const auto tokens = decode_tokens(record);
        const auto time = decode_time(record);
        if (tokens && time) speeds[record.id] = static_cast<double>(*tokens) / to_seconds(*time);
    }
    return speeds;
}

}  // namespace

std::optional<Waterfall> waterfall(const Run& run, const std::vector<std::size_t>& samples) {
    Mean first, load, rest, prompt, decode, stream, after, whole;
    double tokens = 0.0;
    std::size_t n = 0;
    for (const std::size_t i : samples) {
        const RequestRecord& record = run.requests[i];
        if (record.events.empty() || !record.done) continue;
        ++n;
        const Ns last = record.events.back().at;
        first.add(record.events.front().at);
        load.add(record.server.load);
        rest.add(inside(record.server));
        prompt.add(record.server.prompt_eval);
        decode.add(record.server.eval);
        stream.add(last - record.events.front().at);
        after.add(*record.done - last);
        whole.add(*record.done);
        tokens += static_cast<double>(decode_tokens(record).value_or(0));
    }
    if (!whole.value()) return std::nullopt;
    Waterfall out{.n = n, .load = load.value(), .inside = rest.value()};
    out.prompt = prompt.value();
    out.decode = decode.value();
    out.before = *first.value() - out.prompt.value_or(Ns{0});
    out.stream = *stream.value() - out.decode.value_or(Ns{0});
    out.after = *after.value();
    out.whole = *whole.value();
    out.decode_tokens = tokens / static_cast<double>(n);
    return out;
}

std::optional<SpeedRatio> decode_ratio(const Run& run, const std::vector<std::size_t>& samples, const Run& base,
                                       const std::vector<std::size_t>& base_samples) {
    const auto speeds = decode_speeds(run, samples);
    const auto base_speeds = decode_speeds(base, base_samples);
    std::vector<double> ratios;
    for (const auto& [id, speed] : speeds)
        if (const auto other = base_speeds.find(id); other != base_speeds.end())
            ratios.push_back(speed / other->second);
    if (ratios.empty()) return std::nullopt;
    std::sort(ratios.begin(), ratios.end());
    SpeedRatio out{.n = ratios.size(), .median = stats::median(ratios)};
    if (const auto ranks = stats::order_interval(ratios.size(), 0.5, kConfidence)) {
        out.lower = ratios[ranks->lower - 1];
        out.upper = ratios[ranks->upper - 1];
    }
    return out;
}

}  // namespace velollm::metrics
