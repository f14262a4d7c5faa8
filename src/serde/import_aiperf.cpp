// AIPerf: profile_export_aiperf.json, a summary; profile_export.jsonl, a record for each request.

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "serde/measured_parts.h"

namespace velollm::serde {
namespace {

constexpr std::string_view kTool = "aiperf";
constexpr const char* kCountNote =
    "AIPerf counts output tokens with a tokenizer of its own, and the engine's count differs or isn't in the file: "
    "its speeds and its time per token keep their own names. --use-server-token-count makes them comparable.";

/// Metrics whose definition is one of ours.
struct Known {
    std::string_view name;
    const char* key;
    bool needs_count;  ///< and whose value depends on the number of output tokens
};
constexpr std::array<Known, 7> kKnown = {{{"time_to_first_token", "ttft_ms", false},
                                          {"time_to_first_output_token", "ttfo_ms", false},
                                          {"request_latency", "e2e_ms", false},
                                          {"inter_chunk_latency", "icl_ms", false},
                                          {"inter_token_latency", "tpot_ms", true},
                                          {"output_token_throughput_per_user", "decode_tps", true},
                                          {"e2e_output_token_throughput", "e2e_tps", true}}};

/// Others that measure speed. The rest of a record counts tokens, bytes and connections.
constexpr std::array<std::string_view, 6> kOthers = {"output_token_throughput",     "total_token_throughput",
                                                     "request_throughput",          "goodput",
                                                     "prefill_throughput_per_user", "time_to_second_token"};

/// What makes milliseconds of a unit; 1 for what is no time.
double to_ms_of(std::string_view unit) {
    constexpr std::array<std::pair<std::string_view, double>, 4> kUnits{
        {{"ms", 1}, {"sec", 1e3}, {"us", 1e-3}, {"ns", 1e-6}}};
    for (const auto& [name, factor] : kUnits)
        if (name == unit) return factor;
    return 1;
}

/// The metric under which a name of the tool is taken; nothing for what isn't.
std::optional<MeasuredMetric> metric_of(std::string_view name, std::string_view unit, bool counted_by_engine) {
    const bool is_time = unit == "ms" || unit == "sec" || unit == "us" || unit == "ns";
    const auto known = std::find_if(kKnown.begin(), kKnown.end(), [&](const Known& one) { return one.name == name; });
    const std::string own = fmt::format("aiperf.{}{}", name, is_time ? "_ms" : "");
    if (known != kKnown.end())
        return MeasuredMetric{.key = known->needs_count && !counted_by_engine ? own : known->key,
                              .higher_is_better = !is_time};
    if (std::find(kOthers.begin(), kOthers.end(), name) != kOthers.end())
        return MeasuredMetric{.key = own, .higher_is_better = !is_time};
    return std::nullopt;
}

// ---- The summary ----

void read_config(JsonValue root, MeasuredWorkload& out) {
    const JsonValue config = root["input_config"];
    // The first is of schemas up to 1.3.
    const JsonValue endpoint = config["endpoint"];
    const JsonValue models = endpoint["model_names"] ? endpoint["model_names"] : config["models"]["items"];
    const JsonValue first = models.at(0);
    tell(out, "model", first.is_object() ? first["name"].plain() : first.plain());
    const JsonValue load = config["loadgen"] ? config["loadgen"] : config["phases"].at(config["phases"].size() - 1);
    tell(out, "concurrency", load["concurrency"].plain());
    tell(out, "settings", endpoint["type"].plain().empty() ? "" : fmt::format("endpoint={}", endpoint["type"].plain()));
}

std::string name_of(const MeasuredWorkload& workload) {
    const auto it = workload.identity.find("concurrency");
    return it == workload.identity.end() ? "profile" : fmt::format("profile c{}", it->second);
}

std::optional<Result<MeasuredFile>> from_summary(std::string_view text, const std::string& source) {
    const auto document = JsonText::parse(text, {"telemetry_data", "server_metrics_data"});
    if (!document) return broken_file(source, kTool, document.error().message);
    const JsonValue root = document->root();
    if (!root["request_latency"].is_object() && !root["request_count"].is_object()) return std::nullopt;
    MeasuredFile file{.tool = std::string(kTool), .workloads = {}, .notes = {}};
    MeasuredWorkload out;
    read_config(root, out);
    out.name = name_of(out);
    out.run_id = root["benchmark_id"].plain();
    // Percentiles take failed requests in as infinitely slow ones.
    const bool failures = root["error_request_count"]["avg"].number().value_or(0) > 0;
    const auto own = root["output_sequence_length"]["avg"].number();
    const bool counted = own && own == root["usage_completion_tokens"]["avg"].number();
    for (const std::string& name : root.keys()) {
        const JsonValue values = root[name];
        const std::string unit = values["unit"].plain();
        auto metric = metric_of(name, unit, counted);
        if (!metric) continue;
        if (!values.is_object() || !values["avg"].number())
            return broken_file(source, kTool, fmt::format("\"avg\" of \"{}\" must be a number", name));
        const auto median = failures ? std::nullopt : values["p50"].number();
        const double factor = to_ms_of(unit);
        metric->centre = factor * median.value_or(*values["avg"].number());
        metric->centre_is = median ? "median" : values["std"].number() ? "mean" : "value";
        if (const auto deviation = values["std"].number()) metric->spread = factor * *deviation;
        metric->n = static_cast<std::size_t>(std::max<std::int64_t>(
            (values["count"] ? values["count"] : root["request_count"]["avg"]).integer().value_or(0), 0));
        out.metrics.push_back(std::move(*metric));
    }
    if (!counted) file.notes.emplace_back(kCountNote);
    file.workloads.push_back(std::move(out));
    return file;
}

// ---- Records ----

std::optional<Result<MeasuredFile>> from_records(std::string_view text, const std::string& source) {
    const auto document = JsonText::parse_lines(text, {"trace_data"});
    if (!document) return broken_file(source, kTool, document.error().message);
    const JsonValue records = document->root();
    MeasuredFile file{.tool = std::string(kTool), .workloads = {}, .notes = {}};
    std::vector<std::size_t> good;
    bool counted = true;
    for (std::size_t i = 0; i < records.size(); ++i) {
        const JsonValue record = records.at(i);
        if (!record["metadata"].is_object() || !(record["metrics"].is_object() || record["error"]))
            return broken_file(source, kTool, fmt::format("record {}: no record of a request", i + 1));
        if (record["metadata"]["benchmark_phase"].plain() == "warmup" || record["error"]) continue;
        good.push_back(i);
        const auto own = record["metrics"]["output_sequence_length"]["value"].number();
        counted = counted && own && own == record["metrics"]["usage_completion_tokens"]["value"].number();
    }
    MeasuredWorkload out;
    out.name = "profile";
    std::map<std::string, MeasuredMetric> metrics;
    for (const std::size_t i : good) {
        const JsonValue all = records.at(i)["metrics"];
        for (const std::string& name : all.keys()) {
            const std::string unit = all[name]["unit"].plain();
            auto metric = metric_of(name, unit, counted);
            const JsonValue value = all[name]["value"];
            // Gaps are a list in each record; they are pooled, and a file of ours has no samples of them either.
            if (!metric || value.is_array()) continue;
            if (!value.number())
                return broken_file(source, kTool, fmt::format("record {}: \"{}\" must be a number", i + 1, name));
            MeasuredMetric& known = metrics.try_emplace(metric->key, *metric).first->second;
            known.samples.push_back(to_ms_of(unit) * *value.number());
            known.n = known.samples.size();
        }
    }
    for (auto& [key, metric] : metrics) out.metrics.push_back(std::move(metric));
    if (!counted) file.notes.emplace_back(kCountNote);
    file.workloads.push_back(std::move(out));
    return file;
}

}  // namespace

std::optional<Result<MeasuredFile>> import_aiperf(std::string_view text, const std::string& source) {
    if (first_of(text) != '{') return std::nullopt;
    if (mentions(text, "metadata") && mentions(text, "benchmark_phase")) return from_records(text, source);
    if (mentions(text, "aiperf_version") || (mentions(text, "input_config") && mentions(text, "request_latency")))
        return from_summary(text, source);
    return std::nullopt;
}

}  // namespace velollm::serde
