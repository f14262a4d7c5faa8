#include "optimize/confirm.h"

#include <utility>
#include <vector>

#include "stats/quantile.h"

namespace velollm::optimize {

std::optional<double> turn_seconds(const benchmark::Block& block, const Turn& turn) {
    const auto decode = benchmark::block_value(block, "decode_tps");
    std::vector<double> per_token;
    for (const RequestRecord& record : block.requests) {
        if (record.outcome != Outcome::kOk || record.events.empty() || !record.server.prompt_tokens) continue;
        const std::int64_t processed = *record.server.prompt_tokens - record.server.cached_tokens.value_or(0);
        if (processed > 0) per_token.push_back(to_seconds(record.events.front().at) / static_cast<double>(processed));
    }
    if (!decode || per_token.empty()) return std::nullopt;
    return stats::median_of(std::move(per_token)) * turn.prompt_tokens + turn.answer_tokens / *decode;
}

Result<Confirmation> confirm(const benchmark::MeasureBlock& measure, const ConfirmPlan& plan, Clock& clock,
                             const std::function<bool()>& stop, const benchmark::OnPair& on_pair) {
    benchmark::AbPlan ab;
    ab.value = plan.cost ? plan.cost : [](const benchmark::Block& block) -> std::optional<double> {
        const auto speed = benchmark::block_value(block, "decode_tps");
        if (!speed) return std::nullopt;
        return 1.0 / *speed;
    };
    ab.limits.delta = plan.delta;
    ab.limits.higher_is_better = false;
    ab.reload = plan.reload;
    ab.requests = plan.requests;
    ab.most_pairs = plan.most_pairs;
    ab.budget = plan.budget;
    ab.seed = plan.seed;
    auto measured = benchmark::run_ab(ab, measure, clock, stop, on_pair);
    if (!measured) return measured.error();
    Confirmation out;
    const stats::Judgement& judged = measured->judgement;
    const bool real = judged.decision == stats::Decision::kFaster || judged.decision == stats::Decision::kSmall;
    const bool whole = measured->end != benchmark::AbEnd::kLost && measured->end != benchmark::AbEnd::kFailing;
    out.improved = whole && real && judged.factor * (1.0 + plan.delta) <= 1.0;
    out.measured = std::move(*measured);
    return out;
}

}  // namespace velollm::optimize
