// GuideLLM: a list of benchmarks, each with distributions, and with the requests where it was told to keep them.

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "serde/measured_parts.h"

namespace velollm::serde {
namespace {

constexpr std::string_view kTool = "guidellm";
constexpr const char* kNote =
    "GuideLLM's request_latency ends with the stream, not with the last token, and its time per output token contains "
    "the first one: both keep their own names. What it calls inter-token latency is tpot_ms here. It reads the wall "
    "clock.";

struct Known {
    const char* name;
    const char* key;
    bool higher_is_better;
    double factor;
};
constexpr std::array<Known, 9> kKnown = {
    {{"time_to_first_token_ms", "ttft_ms", false, 1},
     {"time_to_first_output_token_ms", "ttfo_ms", false, 1},
     {"inter_token_latency_ms", "tpot_ms", false, 1},
     {"request_latency", "guidellm.request_latency_ms", false, 1e3},
     {"request_scheduled_latency", "guidellm.request_scheduled_latency_ms", false, 1e3},
     {"time_per_output_token_ms", "guidellm.time_per_output_token_ms", false, 1},
     {"output_tokens_per_second", "guidellm.output_tokens_per_second", true, 1},
     {"tokens_per_second", "guidellm.tokens_per_second", true, 1},
     {"requests_per_second", "guidellm.requests_per_second", true, 1}}};
/// Over all requests at once: a request's own value has the same name and another meaning.
constexpr std::array<std::string_view, 3> kOfTheRun = {"output_tokens_per_second", "tokens_per_second",
                                                       "requests_per_second"};

JsonValue first_there(JsonValue a, JsonValue b) {
    return a ? a : b;
}

void read_identity(JsonValue root, JsonValue benchmark, MeasuredWorkload& out) {
    const JsonValue config = benchmark["config"];
    const JsonValue strategy = first_there(config["strategy"], benchmark["scheduler"]["strategy"]);
    const std::string kind = first_there(strategy["type_"], config["profile"]["kind"]).plain();
    const std::string streams = first_there(strategy["streams"], strategy["max_concurrency"]).plain();
    const std::string rate = strategy["rate"].plain();
    out.name = kind.empty() ? "benchmark" : kind;
    if (kind != "synchronous" && !streams.empty()) out.name += fmt::format(" c{}", streams);
    if (!rate.empty()) out.name += fmt::format(" at {}/s", rate);
    const JsonValue backend = first_there(config["backend"], root["config"]["backend"]);
    tell(out, "model", backend["model"].plain());
    tell(out, "concurrency", streams);
    tell(out, "workload", out.name);
    out.run_id = config["run_id"].plain();
    for (const auto& [name, metric] :
         {std::pair{"prompt_tokens", "prompt_token_count"}, std::pair{"output_tokens", "output_token_count"}}) {
        const JsonValue count = benchmark["metrics"][metric]["successful"];
        // One length for all is a fact of the workload; a mean is none.
        if (count["count"].number().value_or(0) > 0 && count["min"].number() == count["max"].number() &&
            count["min"].number())
            tell(out, name, fmt::format("{:.0f}", *count["min"].number()));
    }
}

/// What is wrong with the metric; empty when nothing is.
std::string read_metric(const Known& known, JsonValue benchmark, MeasuredWorkload& out) {
    const JsonValue values = benchmark["metrics"][known.name]["successful"];
    const JsonValue requests = benchmark["requests"]["successful"];
    MeasuredMetric metric{.key = known.key, .higher_is_better = known.higher_is_better};
    const bool of_the_run = std::find(kOfTheRun.begin(), kOfTheRun.end(), known.name) != kOfTheRun.end();
    for (std::size_t i = 0; i < requests.size() && !of_the_run; ++i) {
        const JsonValue value = requests.at(i)[known.name];
        if (!value) continue;
        if (!value.number()) return fmt::format("request {}: \"{}\" must be a number", i + 1, known.name);
        metric.samples.push_back(known.factor * *value.number());
    }
    metric.n = metric.samples.size();
    if (!values.is_object()) {
        if (!metric.samples.empty()) out.metrics.push_back(std::move(metric));
        return {};
    }
    const auto n = values["count"].number();
    if (!n || !values["mean"].number() || !values["median"].number())
        return fmt::format("\"count\", \"mean\" and \"median\" of \"{}\" must be numbers", known.name);
    // Where nothing was counted, 0 stands for all.
    if (!(*n > 0)) return {};
    // It may keep some of the requests only: then the summary knows more. That of a time per token weighs a request by
    // its tokens, and counts these.
    const auto all = benchmark["metrics"]["request_totals"]["successful"].number();
    if (metric.samples.empty() || (all && static_cast<double>(requests.size()) < *all)) {
        metric.samples.clear();
        metric.centre = known.factor * *values[of_the_run ? "mean" : "median"].number();
        metric.centre_is = of_the_run ? "value" : "median";
        if (const auto deviation = values["std_dev"].number(); deviation && !of_the_run)
            metric.spread = known.factor * *deviation;
        metric.n = of_the_run ? 0 : static_cast<std::size_t>(std::min(*n, 1e15));
    }
    out.metrics.push_back(std::move(metric));
    return {};
}

}  // namespace

std::optional<Result<MeasuredFile>> import_guidellm(std::string_view text, const std::string& source) {
    if (first_of(text) != '{' || !mentions(text, "benchmarks") || !mentions(text, "inter_token_latency_ms"))
        return std::nullopt;
    const auto document = JsonText::parse(text, {"request_args", "output", "reasoning_output", "pdf"});
    if (!document) return broken_file(source, kTool, document.error().message);
    const JsonValue benchmarks = document->root()["benchmarks"];
    if (!benchmarks.is_array()) return std::nullopt;
    MeasuredFile file{.tool = std::string(kTool), .workloads = {}, .notes = {kNote}};
    for (std::size_t i = 0; i < benchmarks.size(); ++i) {
        MeasuredWorkload out;
        if (!benchmarks.at(i)["metrics"].is_object())
            return broken_file(source, kTool, fmt::format("benchmark {}: it has no \"metrics\"", i + 1));
        read_identity(document->root(), benchmarks.at(i), out);
        for (const Known& known : kKnown)
            if (const auto problem = read_metric(known, benchmarks.at(i), out); !problem.empty())
                return broken_file(source, kTool, fmt::format("benchmark {}: {}", i + 1, problem));
        file.workloads.push_back(std::move(out));
    }
    return file;
}

}  // namespace velollm::serde
