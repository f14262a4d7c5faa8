#include "mock/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/split_mix.h"
#include "base/text.h"
#include "mock/render.h"

namespace velollm::mock {
namespace {

constexpr std::int64_t kDefaultTokens = 128;

std::int64_t to_ns(double ms) {
    return std::llround(ms * 1e6);
}

double drift_factor(const DriftScript& drift, std::int64_t index) {
    double factor = 1 + drift.per_request * static_cast<double>(index);
    if (index < drift.slow_first) factor *= drift.slow_factor;
    if (drift.step_at && index >= *drift.step_at) factor *= drift.step_factor;
    return factor;
}

std::vector<Step> steps_of_rates(const RateModel& rates, Wire wire, std::int64_t prompt_tokens, std::int64_t evaluated,
                                 const Asked& asked, std::int64_t index) {
    std::vector<Step> steps;
    double dt_ms = 1e3 * static_cast<double>(evaluated) / rates.pp_tok_s;
    base::SplitMix random(static_cast<std::uint64_t>(rates.draft_seed) * 1'000'003U +
                          static_cast<std::uint64_t>(index));
    if (wire == Wire::kOpenaiChat) {
        steps.push_back({.kind = StepKind::kRole, .dt_ms = dt_ms, .k = 0});
        dt_ms = 0;
    }
    const std::int64_t wanted = asked.max_tokens.value_or(kDefaultTokens);
    for (std::int64_t made = 0; made < wanted;) {
        std::int64_t k = 1;
        while (made > 0 && k <= rates.draft_k && random.uniform() < rates.draft_p_accept) ++k;
        k = std::min(k, wanted - made);
        // llama-server puts the role and the first token into one chunk.
        steps.push_back({.dt_ms = dt_ms, .k = k, .join = steps.size() == 1 && wire == Wire::kOpenaiChat});
        made += k;
        const double context = static_cast<double>(prompt_tokens + made);
        dt_ms = 1e3 / rates.tg_tok_s * (1 + rates.tg_slope * context / 1000);
    }
    return steps;
}

/// Collects chunks into the plan.
class Builder {
public:
    Builder(const Script& script, Plan& plan) : script_(script), plan_(plan) {}

    /// A piece of stream text; what belongs to the chunk before is added to it.
    void event(std::int64_t due_ns, std::string_view text, std::int64_t tokens, bool join, bool with_previous) {
        if (!join) {
            flush();
            due_ns_ = due_ns;
            with_previous_ = with_previous;
        }
        pending_ += text;
        if (tokens > 0 && !text.empty()) ++events_;
        tokens_ += tokens;
    }

    /// Silent tokens have no bytes: they ride on the next chunk.
    void flush() {
        if (pending_.empty()) return;
        const std::size_t begin = plan_.bytes.size();
        if (script_.http.framing == Framing::kChunked) {
            plan_.bytes += fmt::format("{:x}\r\n", pending_.size());
            plan_.bytes += pending_;
            plan_.bytes += "\r\n";
        } else {
            plan_.bytes += pending_;
        }
        if (script_.tcp.hold_ms > 0 && ++chunks_ % script_.tcp.hold_every == 0) due_ns_ += to_ns(script_.tcp.hold_ms);
        cut(begin, plan_.bytes.size());
        pending_.clear();
        events_ = 0;
        tokens_ = 0;
    }

    void raw(std::string_view bytes) {
        flush();
        plan_.bytes += bytes;
        const bool split = script_.tcp.split_every > 0 || !script_.tcp.split_at.empty();
        push(0, plan_.bytes.size(), !split);
    }

    std::int64_t last_due() const { return plan_.writes.empty() ? 0 : plan_.writes.back().due_ns; }

private:
    /// What was held back by a late chunk leaves right behind it.
    void push(std::int64_t due_ns, std::size_t end, bool with_previous) {
        plan_.writes.push_back({.due_ns = std::max(due_ns, last_due()), .end = end, .with_previous = with_previous});
    }

    void cut(std::size_t begin, std::size_t end) {
        const TcpScript& tcp = script_.tcp;
        std::vector<std::size_t> cuts;
        if (tcp.split_every > 0) {
            const auto every = static_cast<std::size_t>(tcp.split_every);
            for (std::size_t at = begin + every; at < end; at += every) cuts.push_back(at);
        }
        for (const std::int64_t offset : tcp.split_at)
            if (begin + static_cast<std::size_t>(offset) < end)
                cuts.push_back(begin + static_cast<std::size_t>(offset));
        std::int64_t due_ns = due_ns_;
        for (const std::size_t at : cuts) {
            push(due_ns, at, false);
            due_ns += to_ns(tcp.split_gap_ms);
        }
        push(due_ns, end, with_previous_ && cuts.empty());
        plan_.writes.back().events = static_cast<std::uint32_t>(events_);
        plan_.writes.back().tokens = static_cast<std::uint32_t>(tokens_);
    }

    const Script& script_;
    Plan& plan_;
    std::string pending_;
    std::int64_t due_ns_ = 0;
    std::int64_t events_ = 0;
    std::int64_t tokens_ = 0;
    std::int64_t chunks_ = 0;
    bool with_previous_ = false;
};

void prepend_head(Plan& plan, const Script& script, Wire wire, bool keep_alive) {
    const HttpScript& http = script.http;
    const auto length = http.framing == Framing::kLength ? static_cast<std::int64_t>(plan.bytes.size()) : -1;
    const std::string head =
        render_head(wire, 200, stream_type(wire), length, http.framing == Framing::kChunked, keep_alive);
    plan.bytes.insert(0, head);
    for (PlannedWrite& write : plan.writes) write.end += head.size();
    const bool with_first = http.header_with_first || (is_ollama(wire) && !http.header_delay_ms);
    if (with_first && !plan.writes.empty()) return;
    const std::int64_t due_ns = to_ns(http.header_delay_ms.value_or(0));
    for (PlannedWrite& write : plan.writes) write.due_ns = std::max(write.due_ns, due_ns);
    plan.writes.insert(plan.writes.begin(), {.due_ns = due_ns, .end = head.size()});
}

/// Where the script breaks the stream off, in steps; nothing when it runs to its end.
struct Break {
    std::int64_t after = -1;
    PlanEnd end = PlanEnd::kKeep;
    bool error = false;
};

Break break_of(const FinishScript& finish) {
    if (finish.rst_after) return {*finish.rst_after, PlanEnd::kReset};
    if (finish.close_after) return {*finish.close_after, PlanEnd::kClose};
    if (finish.stall_after) return {*finish.stall_after, PlanEnd::kStall};
    if (finish.error_after) return {*finish.error_after, PlanEnd::kKeep, true};
    return {};
}

std::int64_t start_of_first_token(const std::vector<Step>& steps, std::int64_t start_ns, double factor) {
    std::int64_t at = start_ns;
    for (const Step& step : steps) {
        at += to_ns(step.dt_ms * factor);
        if (step.k > 0) return at;
        at += to_ns(step.dt_ms * factor) * (step.repeat - 1);
    }
    return at;
}

void set_text(StreamState& state, const Step& step) {
    state.text = step.text;
    const bool made_up =
        step.kind == StepKind::kContent || step.kind == StepKind::kReasoning || step.kind == StepKind::kTool;
    if (step.text.empty() && made_up)
        for (std::int64_t i = 0; i < step.k; ++i) state.text += " word";
}

/// Writes the steps; returns false when the script broke off.
bool write_steps(const std::vector<Step>& steps, double factor, std::int64_t stop_after, StreamState& state,
                 Builder& builder) {
    std::int64_t done = 0;
    std::string text;
    for (const Step& step : steps) {
        set_text(state, step);
        const std::int64_t dt_ns = to_ns(step.dt_ms * factor);
        for (std::int64_t i = 0; i < step.repeat; ++i) {
            if (done++ == stop_after) return false;
            state.now_ns += dt_ns;
            state.tokens += step.k;
            text.clear();
            if (step.bytes.empty()) {
                render_event(text, state, step.kind);
            } else {
                text = step.bytes;
            }
            builder.event(state.now_ns, text, step.k, step.join, dt_ns == 0);
        }
    }
    return done != stop_after;
}

}  // namespace

Plan plain_plan(Wire wire, int status, std::string_view type, std::string_view body, bool keep_alive) {
    Plan plan;
    plan.status = status;
    plan.end = keep_alive ? PlanEnd::kKeep : PlanEnd::kClose;
    plan.bytes = render_head(wire, status, type, static_cast<std::int64_t>(body.size()), false, keep_alive);
    plan.bytes += body;
    plan.writes.push_back({.end = plan.bytes.size()});
    return plan;
}

Plan make_plan(const Script& script, Wire wire, const Asked& asked, const PlanContext& context) {
    const bool keep = context.keep_alive && script.http.keep_alive && script.http.framing != Framing::kClose;
    if (script.http.status != 200) {
        Plan plan = plain_plan(wire, script.http.status, "application/json; charset=utf-8",
                               error_body(wire, script.http.status, "the mock was told to refuse"), keep);
        plan.writes.front().due_ns = to_ns(script.http.header_delay_ms.value_or(0));
        return plan;
    }
    StreamState state{.script = &script, .asked = &asked, .wire = wire, .model = context.model};
    if (is_ollama(wire) && !asked.model.empty()) state.model = asked.model;
    state.id = fmt::format("mock{:028}", context.index);
    state.wall_ns = context.wall_ns;
    const std::int64_t prompt_tokens = script.prompt.n.value_or(count_words(asked.prompt));
    state.prompt_tokens = script.prompt.reported.value_or(prompt_tokens);
    if (context.index >= script.prompt.cached_from) state.cached_tokens = script.prompt.cached;
    state.load_ns = to_ns(script.load_ms);

    const double factor = drift_factor(script.drift, context.index);
    const std::int64_t evaluated = std::max<std::int64_t>(prompt_tokens - state.cached_tokens, 0);
    const std::vector<Step> made =
        script.rate_model ? steps_of_rates(*script.rate_model, wire, prompt_tokens, evaluated, asked, context.index)
                          : std::vector<Step>();
    const std::vector<Step>& steps = script.rate_model ? made : script.steps;
    const std::int64_t start_ns = state.load_ns + to_ns(script.fixed_cost_ms);
    state.now_ns = start_ns;
    state.first_token_ns = start_of_first_token(steps, start_ns, factor);
    state.prompt_ns = state.first_token_ns - start_ns;

    Plan plan;
    Builder builder(script, plan);
    const Break broken = break_of(script.finish);
    const bool whole = write_steps(steps, factor, broken.after, state, builder);
    plan.end = whole || broken.error ? (keep ? PlanEnd::kKeep : PlanEnd::kClose) : broken.end;
    state.tokens += script.finish.hidden_tokens;
    if (whole)
        for (const std::string& text : render_finish(state)) builder.event(state.now_ns, text, 0, false, false);
    else if (broken.error)
        builder.event(state.now_ns, render_stream_error(wire), 0, false, false);
    builder.flush();
    const bool ended = whole || broken.error;
    if (ended && script.http.framing == Framing::kChunked) builder.raw("0\r\n\r\n");
    prepend_head(plan, script, wire, keep);
    return plan;
}

}  // namespace velollm::mock
