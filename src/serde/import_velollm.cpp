// Result files of this program, and those with the original keys only.

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "serde/measured_parts.h"

namespace velollm::serde {
namespace {

constexpr std::string_view kTool = "velollm";

/// Keys that "measured" holds or may hold by its schema.
constexpr std::array<std::pair<std::string_view, bool>, 26> kBetter = {{
    {"decode_tps", true},        {"ttft_ms", false},      {"tpot_ms", false},          {"e2e_ms", false},
    {"e2e_tps", true},           {"prefill_tps", true},   {"prefill_bound_tps", true}, {"server_decode_tps", true},
    {"ttfo_ms", false},          {"ttfb_ms", false},      {"stall_ms", false},         {"tokens_per_step", true},
    {"reasoning_tokens", false}, {"connect_ms", false},   {"step_gap_ms", false},      {"icl_ms", false},
    {"itl_ms", false},           {"load_ms", false},      {"load_cold_ms", false},     {"load_warm_ms", false},
    {"load_resident_ms", false}, {"aggregate_tps", true}, {"request_rps", true},       {"energy_j_per_token", false},
    {"power_w", false},          {"vram_peak_mb", false},
}};

/// "a=1 b=x": keys in alphabetical order, so that equal settings are equal texts.
std::string joined(JsonValue settings) {
    std::string out;
    for (const std::string& key : settings.keys())
        out += fmt::format("{}{}={}", out.empty() ? "" : " ", key, settings[key].plain());
    return out;
}

std::string machine_of(JsonValue hardware) {
    std::string out = hardware["cpu"]["model"].plain();
    const auto add = [&](const std::string& name) {
        if (!name.empty()) out += (out.empty() ? "" : ", ") + name;
    };
    const JsonValue gpus = hardware["gpus"];
    for (std::size_t i = 0; i < gpus.size(); ++i) add(gpus.at(i)["name"].plain());
    // The original form has the first one only.
    if (!gpus.is_array()) add(hardware["gpu"]["name"].plain());
    return out;
}

void read_identity(JsonValue element, MeasuredWorkload& out) {
    const JsonValue extension = element["velollm"];
    const JsonValue run = extension["run"];
    const JsonValue runtime = run["runtime"];
    const JsonValue workload = extension["workload"];
    tell(out, "model", element["config"]["model"].plain());
    tell(out, "digest", extension["model"]["sha256"].plain());
    tell(out, "quantization", extension["model"]["quant"].plain());
    tell(out, "engine", runtime["kind"].plain());
    tell(out, "engine_version", runtime["version"].plain());
    tell(out, "context_tokens", runtime["context_tokens"].plain());
    tell(out, "settings", joined(runtime["settings"]));
    tell(out, "spec_type", workload["spec_decode"]["type"].plain());
    tell(out, "draft", workload["spec_decode"]["draft_model"].plain());
    tell(out, "prompt_tokens",
         (workload["prompt_tokens"] ? workload["prompt_tokens"] : element["prompt_eval_count"]).plain());
    tell(out, "output_tokens",
         (workload["output_tokens"] ? workload["output_tokens"] : element["config"]["max_tokens"]).plain());
    tell(out, "context_depth", workload["context_depth"].plain());
    tell(out, "concurrency", workload["concurrency"].plain());
    tell(out, "workload", workload["key"].plain());
    tell(out, "hardware", run["hardware_key"].plain());
    tell(out, "machine", machine_of(run["hardware"]));
    out.run_id = run["id"].plain();
    out.status = extension["status"].plain();
    out.when = element["timestamp"].plain();
}

/// One for each counted request of a run that took turns with others; nothing where two would share one.
std::vector<std::string> pair_keys_of(JsonValue extension) {
    if (extension["method"]["interleaved_with"].size() == 0) return {};
    std::vector<std::string> keys;
    std::set<std::string> seen;
    const JsonValue samples = extension["samples"];
    for (std::size_t i = 0; i < samples.size(); ++i) {
        if (samples.at(i)["counted"].plain() != "true") continue;
        keys.push_back(samples.at(i)["nonce"].plain());
        if (keys.back().empty() || !seen.insert(keys.back()).second) return {};
    }
    return keys;
}

/// The keys of the requests that have a value of the metric; nothing where that isn't known.
std::vector<std::string> keys_with_value(const std::vector<std::string>& keys, JsonValue missing) {
    std::set<std::int64_t> without;
    for (std::size_t i = 0; i < missing.size(); ++i) without.insert(missing.at(i).integer().value_or(-1));
    std::vector<std::string> out;
    for (std::size_t i = 0; i < keys.size(); ++i)
        if (!without.contains(static_cast<std::int64_t>(i))) out.push_back(keys[i]);
    return out;
}

/// What is wrong with the metric; empty when nothing is.
std::string read_metric(JsonValue values, const std::vector<std::string>& pair_keys, MeasuredMetric metric,
                        MeasuredWorkload& out) {
    if (!values.is_object()) return fmt::format("\"{}\" is no object", metric.key);
    metric.n = static_cast<std::size_t>(std::max<std::int64_t>(values["n"].integer().value_or(0), 0));
    if (const JsonValue samples = values["samples"]) {
        auto numbers = samples.numbers();
        if (!numbers) return fmt::format("\"samples\" of \"{}\" must be a list of numbers", metric.key);
        metric.samples = std::move(*numbers);
    }
    if (!metric.samples.empty()) {
        metric.n = metric.samples.size();
        auto keys = keys_with_value(pair_keys, values["missing"]);
        // Else it isn't known which of the samples is whose.
        if (metric.samples.size() == keys.size()) metric.pair_keys = std::move(keys);
        out.metrics.push_back(std::move(metric));
        return {};
    }
    metric.centre = values["median"].number();
    if (!metric.centre) return fmt::format("\"median\" of \"{}\" must be a number", metric.key);
    metric.centre_is = "median";
    metric.spread = values["stddev"].number();
    out.metrics.push_back(std::move(metric));
    return {};
}

/// The original three figures. 0 stands there where nothing could be measured.
void read_original(JsonValue element, MeasuredWorkload& out) {
    std::int64_t n = element["config"]["iterations"].integer().value_or(0);
    if (const JsonValue samples = element["velollm"]["samples"]; samples.is_array()) {
        n = 0;
        for (std::size_t i = 0; i < samples.size(); ++i) n += samples.at(i)["counted"].plain() == "true" ? 1 : 0;
    }
    const auto add = [&](const char* key, bool higher, const char* what) {
        const auto value = element[key].number();
        if (!value || *value <= 0) return;
        add_stated(out, {.key = key,
                         .higher_is_better = higher,
                         .centre = value,
                         .centre_is = what,
                         .n = static_cast<std::size_t>(std::max<std::int64_t>(n, 0))});
    };
    add("tokens_per_second", true, "mean");
    add("time_to_first_token_ms", false, "mean");
    add("total_time_ms", false, "sum");
}

/// Of "velollm.result/1.4" the part before the point says what a reader must know.
bool is_first_version(std::string_view schema) {
    constexpr std::string_view kFirst = "velollm.result/1";
    return schema == kFirst || (schema.starts_with(kFirst) && schema.substr(kFirst.size()).starts_with('.'));
}

/// What is wrong with the element; empty when nothing is.
std::string read_element(JsonValue element, MeasuredFile& file) {
    MeasuredWorkload out;
    const JsonValue extension = element["velollm"];
    if (extension && !extension.is_object()) return "\"velollm\" is no object";
    if (extension && !is_first_version(extension["schema"].plain()))
        return fmt::format("\"schema\" is \"{}\", and this program reads velollm.result/1",
                           extension["schema"].plain());
    out.name = element["config"]["name"].plain();
    read_identity(element, out);
    const std::vector<std::string> pair_keys = pair_keys_of(extension);
    const JsonValue measured = extension["measured"];
    for (const std::string& key : measured.keys()) {
        const auto better = higher_is_better(key);
        if (!better) {
            file.notes.push_back(fmt::format("\"{}\" isn't known here: left out", key));
            continue;
        }
        if (auto problem = read_metric(measured[key], pair_keys, {.key = key, .higher_is_better = *better}, out);
            !problem.empty())
            return problem;
    }
    read_original(element, out);
    file.workloads.push_back(std::move(out));
    return {};
}

bool is_element(JsonValue element) {
    return element.is_object() && element["config"].is_object() &&
           (element["velollm"].is_object() || element["tokens_per_second"]);
}

}  // namespace

std::optional<bool> higher_is_better(std::string_view key) {
    for (const auto& [known, higher] : kBetter)
        if (known == key) return higher;
    // Of a later version: a key ends in its unit.
    if (key.ends_with("_tps") || key.ends_with("_rps")) return true;
    if (key.ends_with("_ms") || key.ends_with("_s")) return false;
    return std::nullopt;
}

std::string machine_of_hardware(std::string_view text) {
    const auto document = JsonText::parse(text);
    return document ? cleaned(machine_of(document->root())) : "";
}

std::optional<Result<MeasuredFile>> import_velollm(std::string_view text, const std::string& source) {
    if (first_of(text) != '[' || !mentions(text, "config") || !mentions(text, "tokens_per_second")) return std::nullopt;
    const auto document = JsonText::parse(text, {"event_ns", "event_tokens", "event_ns_packed", "event_tokens_packed"});
    if (!document) return broken_file(source, kTool, document.error().message);
    const JsonValue root = document->root();
    if (!is_element(root.at(0))) return std::nullopt;
    MeasuredFile file{.tool = std::string(kTool), .workloads = {}, .notes = {}};
    for (std::size_t i = 0; i < root.size(); ++i) {
        if (!is_element(root.at(i)))
            return broken_file(source, kTool, fmt::format("benchmark {}: no result of a benchmark", i + 1));
        if (const auto problem = read_element(root.at(i), file); !problem.empty())
            return broken_file(source, kTool, fmt::format("benchmark {}: {}", i + 1, problem));
    }
    return file;
}

}  // namespace velollm::serde
