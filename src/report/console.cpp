#include "report/console.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/text.h"
#include "benchmark/result.h"
#include "metrics/table.h"
#include "report/selftest_report.h"
#include "report/speculation_text.h"

namespace velollm::report {
namespace {

std::string decode_spread(const Distribution& d) {
    if (d.n == 1) return "1 run";
    if (d.interval)
        return fmt::format("{:.1f} .. {:.1f}, {:.1f}% interval of the median", d.interval->lower, d.interval->upper,
                           100.0 * d.interval->coverage);
    return fmt::format("{:.1f} .. {:.1f}", d.min, d.max);
}

/// "prompt 46 tokens uncached" where the engine proves it, "prompt 46 tokens" where it can't.
std::string prompt_text(const BenchmarkResult& result) {
    if (!result.prompt_eval_count) return "";
    const auto& samples = result.summary.samples;
    const bool proven = std::all_of(samples.begin(), samples.end(),
                                    [&](std::size_t i) { return result.run.requests[i].server.cached_tokens == 0; });
    return fmt::format(", prompt {} tokens{}", *result.prompt_eval_count, proven ? " uncached" : "");
}

/// Codes of the findings that take from the trust in a benchmark's numbers.
std::string doubts(const Summary& summary) {
    if (summary.verdict == Verdict::kValid) return "";
    std::vector<std::string> codes;
    for (const Finding& finding : summary.findings)
        if (finding.level != Level::kNote && std::find(codes.begin(), codes.end(), finding.code) == codes.end())
            codes.push_back(finding.code);
    std::string text = summary.verdict == Verdict::kInvalid ? " [invalid" : " [suspect";
    for (std::size_t i = 0; i < codes.size(); ++i) text += (i == 0 ? ": " : ", ") + codes[i];
    return text + "]";
}

/// ", +-1.4% after 12 requests", and whether that is what --until asked for.
std::string until_text(const Context& context, const Distribution* decode) {
    if (!context.until || decode == nullptr || !decode->interval) return "";
    const double reached = (decode->interval->upper - decode->interval->lower) / 2.0 / decode->median;
    const bool enough = reached <= *context.until;
    return fmt::format(", +-{:.1f}% after {} requests{}", 100.0 * reached, decode->n,
                       enough ? "" : fmt::format(" ({:g}% not reached)", 100.0 * *context.until));
}

std::string gpu_text(double share) {
    if (share >= 1.0) return ", 100% GPU";
    return share <= 0.0 ? ", 100% CPU" : fmt::format(", {:.0f}% GPU", 100.0 * share);
}

std::string interval_text(const RunFigure& figure) {
    if (!figure.interval) return "";
    return fmt::format(" ({:.4g} .. {:.4g})", figure.interval->lower, figure.interval->upper);
}

std::string options_text(const EngineOptions& options, const TargetInfo& target) {
    std::string text;
    for (const auto& [option, variable] : options.origin) {
        const auto value = target.settings.find(option);
        if (value == target.settings.end()) continue;
        text += fmt::format("{}{} {} ({})", text.empty() ? "Options: " : ", ", option, value->second, variable);
    }
    return text.empty() ? text : text + "\n";
}

/// " from the page cache, 2.1s from the disk" where both were measured.
std::string cold_text(const Context& context) {
    if (context.loads.size() < 2) return "";
    return fmt::format(" from the page cache, {:.1f}s from the disk", to_seconds(context.loads.front().took));
}

std::string cache_text(const Context& context) {
    if (!context.cache || !context.cache->caches()) return "";
    return context.cache->defeated() ? "Note: this server caches prompts; new words in front of each get past it\n"
                                     : "Note: this server caches prompts, and new words in front don't get past it\n";
}

std::string loading_text(const Context& context) {
    const LoadedModel& loaded = context.loaded;
    const std::string what =
        loaded.was_resident.value_or(false)
            ? "Model already in memory"
            : fmt::format("Loading model... {:.1f}s{}", to_seconds(loaded.took), cold_text(context));
    const std::size_t warm_up = context.warm_up.size();
    return fmt::format("{}, warm-up {} request{}{}\n", what, warm_up, warm_up == 1 ? "" : "s",
                       context.warm_up_steady ? "" : ", still unsteady") +
           cache_text(context);
}

}  // namespace

std::string Console::icon(const char* emoji) const {
    return style_.unicode ? std::string(emoji) + " " : "";
}

std::string Console::rule() const {
    std::string line;
    for (int i = 0; i < 55; ++i) line += style_.unicode ? "═" : "=";
    return line + "\n";
}

std::string Console::opening(const std::string& backend, const std::string& model) const {
    return fmt::format("{}VeloLLM Benchmark Suite\n\nBackend: {}\nModel: {}\n\n", icon("🚀"), backend, model);
}

std::string Console::checking(const std::string& engine) const {
    return fmt::format("Checking {} availability... ", engine);
}

std::string Console::available(bool yes) const {
    if (style_.unicode) return yes ? "✓\n" : "✗\n";
    return yes ? "ok\n" : "failed\n";
}

std::string Console::engine(const Context& context) const {
    const TargetInfo& target = context.target;
    std::string text = target.display_name;
    if (!target.version.empty()) text += " " + target.version;
    if (!target.quantization.empty()) text += ", " + target.quantization;
    if (context.loaded.context_tokens) text += fmt::format(", context {}", *context.loaded.context_tokens);
    if (context.loaded.threads) {
        text += fmt::format(", {} threads", *context.loaded.threads);
        const UsableThreads& usable = context.hardware.cpu.usable;
        if (*context.loaded.threads == usable.count && !usable.reason.empty())
            text += fmt::format(" ({})", usable.reason);
    }
    if (context.loaded.gpu_share) text += gpu_text(*context.loaded.gpu_share);
    text += "\n" + options_text(context.options, target);
    for (const std::string& note : target.notes) text += "Note: " + note + "\n";
    return text + loading_text(context);
}

std::string Console::running(std::size_t benchmarks) const {
    return fmt::format("\nRunning {} benchmark{}...\n\n{}\n", benchmarks, benchmarks == 1 ? "" : "s", rule());
}

std::string Console::begin(const BenchmarkConfig& config) const {
    return fmt::format("Running benchmark: {} ({} iteration{})\n", config.name, config.iterations,
                       config.iterations == 1 ? "" : "s");
}

std::string Console::iteration(std::size_t index, std::int64_t of, const RequestRecord& record) const {
    const std::string start = fmt::format("  Iteration {}/{}... ", index + 1, of);
    const auto tps = benchmark::iteration_tps(record);
    if (record.outcome == Outcome::kCancelled) return start + "stopped\n";
    if (record.outcome == Outcome::kEmpty) return start + "failed: the answer had no token\n";
    if (record.outcome != Outcome::kOk || !tps) return start + "failed: " + record.error.message + "\n";
    return start + fmt::format("{:.1f} tok/s ({:.0f}ms)\n", *tps, to_ms(*benchmark::request_time(record)));
}

bool Console::hidden(const BenchmarkResult& result) const {
    return !force_ && result.summary.verdict == Verdict::kInvalid;
}

std::string Console::end(const Context& context, const BenchmarkResult& result) const {
    if (result.summary.samples.empty()) return "  No valid iteration\n\n";
    if (hidden(result)) return "  No number:" + doubts(result.summary) + " (--force prints it)\n\n";
    std::string text = fmt::format("  Average: {:.1f} tok/s, TTFT: {:.1f}ms\n", result.tokens_per_second,
                                   result.time_to_first_token_ms);
    const Distribution* decode = result.summary.find("decode_tps");
    const Distribution* ttft = result.summary.find("ttft_ms");
    if (decode != nullptr) {
        text += fmt::format("  Decode: {:.1f} tok/s ({})", decode->median, decode_spread(*decode));
    } else {
        text += fmt::format("  Decode: none ({})", result.summary.why_absent("decode_tps"));
    }
    if (ttft != nullptr) text += fmt::format(", TTFT median {:.1f}ms", ttft->median);
    return text + prompt_text(result) + until_text(context, decode) + doubts(result.summary) +
           (context.quick ? " [quick look: no verdict]" : "") + "\n" + speculation_line(context.target, result) + "\n";
}

std::string Console::summary(const std::vector<BenchmarkResult>& results) const {
    std::string text = rule() + "\n" + icon("📊") + "Benchmark Summary\n\n";
    for (const BenchmarkResult& result : results) {
        text += result.config.name + ":\n";
        if (result.summary.samples.empty()) {
            text += "  No valid iteration\n\n";
            continue;
        }
        if (hidden(result)) {
            text += "  No number:" + doubts(result.summary) + "\n\n";
            continue;
        }
        text += fmt::format("  Tokens/s: {:.1f}\n  TTFT: {:.1f}ms\n", result.tokens_per_second,
                            result.time_to_first_token_ms);
        text += fmt::format("  Total tokens: {}\n  Total time: {:.1f}s\n\n", result.total_tokens,
                            result.total_time_ms / 1000.0);
    }
    const bool any_hidden = std::any_of(results.begin(), results.end(), [this](const auto& r) { return hidden(r); });
    if (const auto overall = benchmark::overall_average(results); overall && !any_hidden)
        text += fmt::format("Overall Average:\n  Tokens/s: {:.1f}\n  TTFT: {:.1f}ms\n\n", overall->tokens_per_second,
                            overall->time_to_first_token_ms);
    return text;
}

std::string Console::warnings(const std::vector<BenchmarkResult>& results, bool notes) const {
    std::string text;
    for (const BenchmarkResult& result : results) {
        std::vector<std::string> told;
        for (const Finding& finding : result.summary.findings) {
            if (finding.level == Level::kNote && !notes) continue;
            if (std::find(told.begin(), told.end(), finding.code) != told.end()) continue;
            told.push_back(finding.code);
            const auto same = std::count_if(result.summary.findings.begin(), result.summary.findings.end(),
                                            [&](const Finding& other) { return other.code == finding.code; });
            const std::string more = same > 1 ? fmt::format(" (and {} more)", same - 1) : "";
            text += fmt::format("  {}: {}: {}{}\n    {}\n", result.config.name, finding.code, finding.message, more,
                                finding.remedy);
        }
    }
    return text.empty() ? text : "Warnings:\n" + text + "\n";
}

std::string Console::metrics(const std::vector<BenchmarkResult>& results, const std::string& self_test) const {
    std::string text = "Metrics (median, then the 95% interval of the median or the extremes below 6 samples):\n";
    for (const BenchmarkResult& result : results) {
        text += fmt::format("  {}:\n", result.config.name);
        for (const metrics::Metric& metric : metrics::metric_table()) {
            const std::string key(metric.key);
            const Distribution* d = result.summary.find(key);
            if (d == nullptr) {
                text += fmt::format("    {:<21} none: {}\n", metric.title, result.summary.why_absent(key));
                continue;
            }
            text += fmt::format("    {:<21} {:.{}f} {} ({:.{}f} .. {:.{}f}, n={})\n", metric.title, d->median,
                                metric.decimals, metric.unit, d->interval ? d->interval->lower : d->min,
                                metric.decimals, d->interval ? d->interval->upper : d->max, metric.decimals, d->n);
        }
        for (const RunFigure& figure : result.summary.figures)
            text += fmt::format("    {:<21} {:.4g}{}\n", figure.key, figure.value, interval_text(figure));
        const ClientHealth& client = result.run.client;
        if (client.cpu_share)
            text += fmt::format("    {:<21} {:.2f}% of a core\n", "This program's CPU", 100.0 * *client.cpu_share);
        if (client.reads && client.reads->lag)
            text += fmt::format("    {:<21} {:.2f} ms, p99 {:.2f} ms after their bytes had come\n", "Its reads",
                                to_ms(client.reads->lag->p50), to_ms(client.reads->lag->p99));
        text += fmt::format("    {:<21} {:.1f} MiB\n", "Its peak memory",
                            static_cast<double>(client.peak_memory_bytes) / 1048576.0);
    }
    return text + fmt::format("  Self-test of this program: {}\n\n", selftest_line(self_test));
}

std::string Console::tip() const {
    return icon("💡") + "Tip: Use -o <file> to save results to JSON\n";
}

std::string Console::saved(const std::string& path) const {
    return fmt::format("Results saved to {}\n", path);
}

std::string Console::error(const Error& error) const {
    std::string text = style_.color ? "\x1b[1;31mError:\x1b[0m " : "Error: ";
    text += base::printable(error.message) + "\n";
    const std::string hint = base::printable(error.hint);
    for (const std::string_view line : base::split(hint, '\n'))
        if (!line.empty()) text += fmt::format("  {}\n", line);
    return text;
}

}  // namespace velollm::report
