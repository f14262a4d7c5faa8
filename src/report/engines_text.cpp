#include "report/engines_text.h"

#include <fmt/core.h>

#include <functional>

#include "metrics/waterfall.h"

namespace velollm::report {
namespace {

using metrics::Waterfall;

constexpr const char* kUnknown = "unknown";
constexpr const char* kNone = "-";

struct Column {
    const Context* context;
    const BenchmarkResult* result;
    bool shown;
    std::optional<Waterfall> waterfall;  ///< where shown
};

std::string ms(const std::optional<Ns>& time, const char* absent = kUnknown) {
    return time ? fmt::format("{:.2f}", to_ms(*time)) : absent;
}

double per_token_ms(const Waterfall& w) {
    return w.decode_tokens > 0.0 ? to_ms(w.decode.value_or(w.stream)) / w.decode_tokens : 0.0;
}

std::string median(const Column& column, const char* key, int decimals) {
    const Distribution* d = column.shown ? column.result->summary.find(key) : nullptr;
    return d != nullptr ? fmt::format("{:.{}f}", d->median, decimals) : "none";
}

class Table {
public:
    explicit Table(const std::vector<Column>& columns) : columns_(columns) {}

    void row(std::string_view label, const std::function<std::string(const Column&)>& cell) {
        text_ += fmt::format("  {:<38}", label);
        for (const Column& column : columns_) text_ += fmt::format("{:>14}", cell(column));
        text_ += "\n";
    }
    /// Of the engines that have a waterfall.
    void part(std::string_view label, const std::function<std::string(const Waterfall&, const Column&)>& cell) {
        row(label, [&](const Column& c) { return c.waterfall ? cell(*c.waterfall, c) : kNone; });
    }
    void line(std::string_view text) { text_ += fmt::format("{}\n", text); }
    std::string text() const { return text_; }

private:
    const std::vector<Column>& columns_;
    std::string text_;
};

bool in_process(const Column& column) {
    return column.context->target.kind == "embedded";
}

std::optional<metrics::SpeedRatio> ratio_of(const Column& column, const Column& base) {
    if (!column.shown || !base.shown) return std::nullopt;
    return metrics::decode_ratio(column.result->run, column.result->summary.samples, base.result->run,
                                 base.result->summary.samples);
}

void add_speeds(Table& table, const std::vector<Column>& columns) {
    const Column& first = columns.front();
    table.row("", [](const Column& c) { return c.context->target.kind; });
    table.row("Decode, tok/s", [](const Column& c) { return median(c, "decode_tps", 1); });
    table.row("  compared with the first", [&](const Column& c) -> std::string {
        if (&c == &first) return kNone;
        const auto ratio = ratio_of(c, first);
        return ratio ? fmt::format("x {:.3f}", ratio->median) : "none";
    });
    table.row("  its 95% interval", [&](const Column& c) -> std::string {
        if (&c == &first) return kNone;
        const auto ratio = ratio_of(c, first);
        if (!ratio) return "none";
        return ratio->lower ? fmt::format("{:.3f}..{:.3f}", *ratio->lower, *ratio->upper) : "n < 6";
    });
    table.row("Worth", [](const Column& c) -> std::string {
        const Verdict verdict = c.result->summary.verdict;
        return verdict == Verdict::kValid ? "valid" : verdict == Verdict::kSuspect ? "suspect" : "invalid";
    });
    table.row("TTFT, ms", [](const Column& c) { return median(c, "ttft_ms", 1); });
    table.row("Prompt tokens", [](const Column& c) {
        return c.result->prompt_eval_count ? fmt::format("{}", *c.result->prompt_eval_count) : kUnknown;
    });
    table.row("Generated tokens", [](const Column& c) {
        return c.result->eval_count ? fmt::format("{}", *c.result->eval_count) : kUnknown;
    });
}

/// A server may put its own template around bare text, as Ollama's /v1/completions does.
void add_doubt(Table& table, const std::vector<Column>& columns) {
    for (const Column& column : columns) {
        const auto& count = column.result->prompt_eval_count;
        if (!count || !columns.front().result->prompt_eval_count || count == columns.front().result->prompt_eval_count)
            continue;
        table.line(fmt::format("  {} did not read the same tokens: it puts something of its own around the prompt.",
                               column.context->target.kind));
    }
}

void add_parts(Table& table) {
    table.line("\n  Where the time of a request goes, ms (means; * by the engine's own clock)");
    table.part("Before the prompt is read", [](const Waterfall& w, const Column&) { return ms(w.before); });
    table.part("  of it an empty call over HTTP", [](const Waterfall&, const Column& c) {
        return in_process(c) ? kNone : ms(c.context->path.round_trip);
    });
    table.part("  of it making tokens of the prompt", [](const Waterfall& w, const Column& c) {
        return in_process(c) ? ms(w.before) : ms(c.context->path.tokenize);
    });
    table.part("  of it looking whether it is loaded *",
               [](const Waterfall& w, const Column& c) { return in_process(c) ? kNone : ms(w.load); });
    table.part("Reading the prompt *", [](const Waterfall& w, const Column&) { return ms(w.prompt, "in the above"); });
    table.part("Decoding *", [](const Waterfall& w, const Column&) { return ms(w.decode, "in the next"); });
    table.part("  beyond that, until we have it", [](const Waterfall& w, const Column&) { return ms(w.stream); });
    table.part("After the last token", [](const Waterfall& w, const Column&) { return ms(w.after); });
    table.part("  of both, in the server unnamed *",
               [](const Waterfall& w, const Column& c) { return in_process(c) ? kNone : ms(w.inside); });
    table.part("Whole request", [](const Waterfall& w, const Column&) { return ms(w.whole); });
}

void add_steps(Table& table, const std::vector<Column>& columns) {
    table.line("\n  A decode step, ms per token");
    table.part("By the engine's clock, else ours",
               [](const Waterfall& w, const Column&) { return fmt::format("{:.3f}", per_token_ms(w)); });
    const auto& base = columns.front().waterfall;
    if (!base || !in_process(columns.front())) return;
    table.part("  beyond llama.cpp alone", [&](const Waterfall& w, const Column& c) -> std::string {
        return in_process(c) ? kNone : fmt::format("{:+.3f}", per_token_ms(w) - per_token_ms(*base));
    });
    table.line("  Sampling, making text, and the server's own loop are in the last row: nothing tells them apart.");
}

}  // namespace

std::string engines_text(const std::vector<ReportedResult>& engines, bool force) {
    std::vector<Column> columns;
    for (const auto& [context, result] : engines) {
        const bool shown = force || result->summary.verdict != Verdict::kInvalid;
        columns.push_back({context, result, shown, std::nullopt});
        if (shown) columns.back().waterfall = metrics::waterfall(result->run, result->summary.samples);
    }
    Table table(columns);
    add_speeds(table, columns);
    add_doubt(table, columns);
    add_parts(table);
    add_steps(table, columns);
    return table.text() + "\n";
}

}  // namespace velollm::report
