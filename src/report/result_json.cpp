#include "report/result_json.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/json_writer.h"
#include "base/packed.h"
#include "base/text.h"
#include "metrics/table.h"
#include "metrics/waterfall.h"
#include "report/hardware_json.h"
#include "report/host_json.h"
#include "report/keys.h"
#include "report/speculation_text.h"

namespace velollm::report {
namespace {

using base::JsonWriter;

constexpr int kDecimals = 4;

std::string_view level_name(Level level) {
    return level == Level::kInvalid ? "invalid" : level == Level::kSuspect ? "suspect" : "note";
}

/// In the words of the schema; the finer levels of method 1.2 stand in `token_source`.
std::string_view token_method(TokenSource source) {
    switch (source) {
        case TokenSource::kNone: return "estimated";
        case TokenSource::kChunks: return "chunks";
        case TokenSource::kRetokenised: return "client-tokenizer";
        default: return "server";
    }
}

std::string_view token_source_name(TokenSource source) {
    switch (source) {
        case TokenSource::kNone: return "none";
        case TokenSource::kPerEvent: return "per_event";
        case TokenSource::kRunningCount: return "running_count";
        case TokenSource::kServer: return "server_total";
        case TokenSource::kRetokenised: return "retokenised";
        case TokenSource::kChunks: return "chunks";
    }
    return "";
}

std::string_view finish_name(FinishReason reason) {
    switch (reason) {
        case FinishReason::kUnknown: return "unknown";
        case FinishReason::kLength: return "length";
        case FinishReason::kStop: return "stop";
        case FinishReason::kOther: return "other";
    }
    return "";
}

void write_optional_ns(JsonWriter& json, std::string_view key, const std::optional<Ns>& time) {
    if (time) json.field(key, std::int64_t{time->count()});
}

void write_distribution(JsonWriter& json, const Distribution& d) {
    json.begin_object().field("n", std::uint64_t{d.n}).field("median", d.median, kDecimals);
    json.field("mean", d.mean, kDecimals).field("min", d.min, kDecimals).field("max", d.max, kDecimals);
    for (const Percentile& percentile : d.percentiles) {
        const std::string name = fmt::format("p{:g}", 100.0 * percentile.p);
        json.field(name, percentile.value, kDecimals);
        json.key(name + "_ci95").begin_array();
        for (const auto& bound : {percentile.lower, percentile.upper})
            bound ? json.value(*bound, kDecimals) : json.null();
        json.end_array();
    }
    if (d.n > 1) json.field("cv", d.cv, kDecimals);
    if (d.mild_outliers + d.severe_outliers > 0) {
        json.key("outliers").begin_object().field("mild", std::uint64_t{d.mild_outliers});
        json.field("severe", std::uint64_t{d.severe_outliers}).end_object();
    }
    if (d.n_effective) json.field("n_effective", *d.n_effective, 1);
    if (d.interval) {
        json.key("ci95").begin_array();
        json.value(d.interval->lower, kDecimals).value(d.interval->upper, kDecimals).end_array();
        json.field("ci_coverage", d.interval->coverage, kDecimals);
    }
    const auto on_one_line = [&json](std::string_view key, const auto& numbers, auto... decimals) {
        JsonWriter line;
        line.begin_array();
        for (const auto number : numbers) line.value(number, decimals...);
        if (!numbers.empty()) json.key(key).raw(line.end_array().text());
    };
    on_one_line("samples", d.samples, kDecimals);
    on_one_line("missing", d.missing);
    json.end_object();
}

constexpr std::array<std::pair<std::string_view, benchmark::PageCache>, 2> kLoadKeys{
    {{"load_cold_ms", benchmark::PageCache::kCold}, {"load_warm_ms", benchmark::PageCache::kWarm}}};

std::optional<Ns> load_time(const Context& context, benchmark::PageCache cache) {
    for (const benchmark::LoadTime& load : context.loads)
        if (load.cache == cache) return load.took;
    return std::nullopt;
}

void write_measured(JsonWriter& json, const Context& context, const BenchmarkResult& result) {
    json.key("measured").begin_object();
    for (const MetricSummary& metric : result.summary.metrics) {
        if (!metric.values) continue;
        json.key(metric.key);
        write_distribution(json, *metric.values);
    }
    const auto once = [&](std::string_view key, Ns took) {
        const double ms = to_ms(took);
        json.key(key);
        write_distribution(json, {.n = 1, .median = ms, .mean = ms, .min = ms, .max = ms, .samples = {ms}});
    };
    if (context.loaded.was_resident == false) once("load_ms", context.loaded.took);
    for (const auto& [key, cache] : kLoadKeys)
        if (const auto took = load_time(context, cache)) once(key, *took);
    if (context.resident) once("load_resident_ms", *context.resident);
    json.end_object();
    if (!result.summary.figures.empty()) {
        json.key("figures").begin_object();
        for (const RunFigure& figure : result.summary.figures) {
            json.key(figure.key).begin_object().field("value", figure.value, kDecimals);
            if (figure.interval) {
                json.key("ci95").begin_array().value(figure.interval->lower, kDecimals);
                json.value(figure.interval->upper, kDecimals).end_array();
            }
            json.end_object();
        }
        json.end_object();
    }
    json.key("absent").begin_object();
    for (const MetricSummary& metric : result.summary.metrics)
        if (!metric.values) json.field(metric.key, metric.absent);
    if (const std::string why = why_no_acceptance(context.target, result); !why.empty())
        json.field("draft_acceptance", why);
    if (context.loaded.was_resident.value_or(false)) json.field("load_ms", "the model was in memory already");
    if (!context.loaded.was_resident) json.field("load_ms", "whether the model was in memory isn't known");
    for (const auto& [key, cache] : kLoadKeys)
        if (!load_time(context, cache))
            json.field(key,
                       "no load was made, or it isn't known where the file lay; --reload loads it from both places");
    json.end_object();
}

void write_tool(JsonWriter& json, const Context& context) {
    json.key("tool").begin_object().field("name", "velollm").field("version", context.tool_version);
    if (!context.tool_commit.empty()) json.field("commit", context.tool_commit);
    json.end_object();
}

void write_runtime(JsonWriter& json, const Context& context) {
    json.key("runtime").begin_object().field("kind", context.target.kind).field("version", context.target.version);
    json.field("address", context.target.address);
    json.key("settings").begin_object();
    for (const auto& [name, value] : context.target.settings) {
        if (const auto number = base::parse_int(value)) {
            json.field(name, *number);
        } else {
            json.field(name, value);
        }
    }
    json.end_object();
    if (!context.options.origin.empty()) {
        json.key("settings_from").begin_object();
        for (const auto& [option, variable] : context.options.origin) json.field(option, variable);
        json.end_object();
    }
    json.field_if("context_tokens", context.loaded.context_tokens);
    json.field_if("gpu_share", context.loaded.gpu_share);
    json.field_if("memory_bytes", context.loaded.bytes);
    json.end_object();
}

void write_run(JsonWriter& json, const Context& context, const Keys& keys) {
    json.key("run").begin_object();
    json.field("id", context.run_id).field("started_at", context.started_at).field("role", "single");
    write_tool(json, context);
    json.field("hardware_key", keys.hardware);
    json.key("hardware");
    write_hardware(json, context.hardware);
    json.key("environment").begin_object();
    if (!context.hardware.cpu.governor.empty()) json.field("governor", context.hardware.cpu.governor);
    json.field("usable_threads", context.hardware.cpu.usable.count);
    json.field("usable_threads_reason", context.hardware.cpu.usable.reason);
    json.end_object();
    write_runtime(json, context);
    json.end_object();
}

void write_model(JsonWriter& json, const TargetInfo& target) {
    json.key("model").begin_object();
    if (!target.family.empty()) json.field("family", target.family);
    json.field_if("params", target.parameters);
    if (!target.quantization.empty()) json.field("quant", target.quantization);
    json.field_if("file_bytes", target.file_bytes);
    if (!target.digest.empty()) json.field("sha256", target.digest);
    json.end_object();
}

/// "cold" only where the engine proves it for every sample.
std::string_view prompt_cache(const BenchmarkResult& result) {
    const auto proven = [&](std::size_t i) { return result.run.requests[i].server.cached_tokens == 0; };
    const auto& samples = result.summary.samples;
    return !samples.empty() && std::all_of(samples.begin(), samples.end(), proven) ? "cold" : "unknown";
}

void write_workload(JsonWriter& json, const Context& context, const BenchmarkResult& result, const Keys& keys) {
    json.key("workload").begin_object();
    json.field("suite", context.suite).field("key", keys.workload);
    json.field_if("prompt_tokens", result.prompt_eval_count);
    json.field("output_tokens", result.config.max_tokens)
        .field("context_depth", result.config.context_depth)
        .field("concurrency", 1);
    json.field("arrival", "closed").field("stream", true);
    json.field("warmup", std::uint64_t{context.warm_up.size()}).field("seed", context.seed).field("temperature", 0);
    json.field("prompt_cache", prompt_cache(result)).key("spec_decode");
    write_speculation(json, context.target);
    json.end_object();
}

/// Above so many events in a result, their times are packed: a million would be 11 MB of digits.
constexpr std::size_t kMostEventsInDigits = 50'000;

void write_packed_events(JsonWriter& json, const RequestRecord& record) {
    std::vector<std::int64_t> times;
    std::vector<std::int64_t> tokens;
    for (const TokenStamp& event : record.events) {
        times.push_back(event.at.count());
        tokens.push_back(event.tokens.value_or(-1));
    }
    json.field("event_ns_packed", base::pack(times)).field("event_tokens_packed", base::pack(tokens));
}

void write_events(JsonWriter& json, const RequestRecord& record) {
    JsonWriter times;
    times.begin_array();
    for (const TokenStamp& event : record.events) times.value(std::int64_t{event.at.count()});
    json.key("event_ns").raw(times.end_array().text());
    const bool plain = std::all_of(record.events.begin(), record.events.end(),
                                   [](const TokenStamp& event) { return event.tokens.value_or(1) == 1; });
    if (plain) return;
    JsonWriter tokens;
    tokens.begin_array();
    for (const TokenStamp& event : record.events) tokens.value(event.tokens);
    json.key("event_tokens").raw(tokens.end_array().text());
}

void write_sample(JsonWriter& json, const RequestRecord& record, bool counted, bool packed) {
    json.begin_object();
    json.field("outcome", outcome_name(record.outcome)).field("counted", counted);
    if (!record.error.message.empty()) json.field("error", record.error.message);
    json.field("sent_ns", std::int64_t{record.sent.count()});
    write_optional_ns(json, "connect_ns", record.connect);
    write_optional_ns(json, "first_byte_ns", record.first_byte);
    write_optional_ns(json, "done_ns", record.done);
    const ServerReport& server = record.server;
    json.field_if("prompt_tokens", server.prompt_tokens);
    json.field_if("cached_tokens", server.cached_tokens);
    json.field_if("output_tokens", server.output_tokens);
    json.field_if("retokenised_tokens", record.retokenised);
    json.field_if("hidden_tokens", server.hidden_tokens);
    json.field_if("reasoning_tokens", server.reasoning_tokens);
    json.field_if("draft_tokens", server.draft_tokens);
    json.field_if("accepted_tokens", server.accepted_tokens);
    write_optional_ns(json, "server_load_ns", server.load);
    write_optional_ns(json, "server_prompt_eval_ns", server.prompt_eval);
    write_optional_ns(json, "server_eval_ns", server.eval);
    write_optional_ns(json, "server_total_ns", server.total);
    json.field("finish", finish_name(server.finish)).field("nonce", record.nonce);
    json.field("text_bytes", record.text_bytes).field("text_hash", fmt::format("{:016x}", record.text_hash));
    packed ? write_packed_events(json, record) : write_events(json, record);
    json.end_object();
}

void write_samples(JsonWriter& json, const BenchmarkResult& result) {
    json.key("samples").begin_array();
    const std::vector<RequestRecord>& requests = result.run.requests;
    std::vector<bool> counted(requests.size());
    for (const std::size_t i : result.summary.samples) counted[i] = true;
    std::size_t events = 0;
    for (const RequestRecord& record : requests) events += record.events.size();
    for (std::size_t i = 0; i < requests.size(); ++i)
        write_sample(json, requests[i], counted[i], events > kMostEventsInDigits);
    json.end_array();
}

void write_findings(JsonWriter& json, const Summary& summary) {
    std::set<std::string> codes;
    for (const Finding& finding : summary.findings) codes.insert(finding.code);
    json.key("warnings").begin_array();
    for (const std::string& code : codes) json.value(code);
    json.end_array();
    json.key("findings").begin_array();
    for (const Finding& finding : summary.findings) {
        json.begin_object().field("code", finding.code).field("level", level_name(finding.level));
        json.field("message", finding.message).field("remedy", finding.remedy);
        if (finding.request) json.field("request", std::uint64_t{*finding.request});
        json.end_object();
    }
    json.end_array();
}

void write_errors(JsonWriter& json, const BenchmarkResult& result) {
    std::int64_t failed = 0;
    std::int64_t timeouts = 0;
    for (const RequestRecord& record : result.run.requests) {
        if (record.outcome == Outcome::kTimeout) ++timeouts;
        if (record.outcome != Outcome::kOk && record.outcome != Outcome::kCancelled) ++failed;
    }
    json.key("errors").begin_object();
    json.field("requests", std::uint64_t{result.summary.attempted}).field("failed", failed).field("timeouts", timeouts);
    json.end_object();
}

void write_waterfall(JsonWriter& json, const Context& context, const BenchmarkResult& result) {
    const auto w = metrics::waterfall(result.run, result.summary.samples);
    if (!w) return;
    const auto part = [&](std::string_view key, const std::optional<Ns>& time) {
        if (time) json.field(key, to_ms(*time), kDecimals);
    };
    json.key("waterfall").begin_object().field("n", std::uint64_t{w->n});
    part("before_ms", w->before);
    part("round_trip_ms", context.path.round_trip);
    part("tokenize_ms", context.path.tokenize);
    part("server_load_ms", w->load);
    part("server_rest_ms", w->inside);
    part("prompt_ms", w->prompt);
    part("decode_ms", w->decode);
    part("stream_ms", w->stream);
    part("after_ms", w->after);
    part("whole_ms", w->whole);
    json.field("decode_tokens", w->decode_tokens, 2).end_object();
}

void write_extension(JsonWriter& json, const Context& context, const BenchmarkResult& result) {
    const Keys keys = keys_of(context, result);
    json.key("velollm").begin_object();
    json.field("schema", "velollm.result/1.0").field("status", status_of(result));
    write_findings(json, result.summary);
    write_run(json, context, keys);
    write_model(json, context.target);
    write_workload(json, context, result, keys);
    json.field("series", keys.series);
    write_measured(json, context, result);
    json.key("method")
        .begin_object()
        .field("ttft", "streamed")
        .field("tokens", token_method(result.summary.token_source));
    json.field("token_source", token_source_name(result.summary.token_source)).field("clock", "steady");
    json.field("quantile_method", "nearest_rank");
    if (!context.beside.empty()) {
        json.key("interleaved_with").begin_array();
        for (const std::string& backend : context.beside) json.value(backend);
        json.end_array();
    }
    json.end_object();
    write_waterfall(json, context, result);
    write_errors(json, result);
    write_client(json, result.run.client, context.self_test);
    if (result.run.host) {
        json.key("host");
        write_host(json, *result.run.host);
    }
    write_preparation(json, context);
    write_samples(json, result);
    json.end_object();
}

void write_element(JsonWriter& json, const Context& context, const BenchmarkResult& result) {
    const BenchmarkConfig& config = result.config;
    json.begin_object();
    json.key("config").begin_object().field("name", config.name).field("model", config.model);
    json.field("prompt", config.prompt).field("max_tokens", config.max_tokens).field("iterations", config.iterations);
    json.end_object();
    json.field("tokens_per_second", result.tokens_per_second, kDecimals);
    json.field("time_to_first_token_ms", result.time_to_first_token_ms, kDecimals);
    json.field("total_time_ms", result.total_time_ms, kDecimals).field("total_tokens", result.total_tokens);
    json.field("prompt_eval_count", result.prompt_eval_count).field("eval_count", result.eval_count);
    json.field("timestamp", result.timestamp);
    write_extension(json, context, result);
    json.end_object();
}

}  // namespace

std::string result_json(const std::vector<ReportedResult>& results) {
    JsonWriter json(2);
    json.begin_array();
    for (const auto& [context, result] : results) write_element(json, *context, *result);
    json.end_array();
    return json.text() + "\n";
}

}  // namespace velollm::report
