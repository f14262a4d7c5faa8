// llama-benchy: a list of benchmarks, each with lists of values.

#include <fmt/core.h>

#include <array>
#include <utility>

#include "serde/measured_parts.h"

namespace velollm::serde {
namespace {

constexpr std::string_view kTool = "llama-benchy";
constexpr const char* kNote =
    "Prompt speeds of llama-benchy are estimates: prompt tokens by the time to the first answer, less the latency of "
    "another request. Its tg of one request is a decode speed by the client's clock, with tokens spread evenly over a "
    "chunk's time. Requests that failed are not in the file.";

struct Known {
    const char* name;
    const char* key;
    bool higher_is_better;
};
constexpr std::array<Known, 9> kKnown = {{{"tg_req_throughput", "decode_tps", true},
                                          {"e2e_ttft", "ttft_ms", false},
                                          {"pp_req_throughput", "llama_benchy.pp_req_throughput", true},
                                          {"pp_throughput", "llama_benchy.pp_throughput", true},
                                          {"tg_throughput", "llama_benchy.tg_throughput", true},
                                          {"peak_throughput", "llama_benchy.peak_throughput", true},
                                          {"peak_req_throughput", "llama_benchy.peak_req_throughput", true},
                                          {"ttfr", "llama_benchy.ttfr_ms", false},
                                          {"est_ppt", "llama_benchy.est_ppt_ms", false}}};

/// As the tool's table has it, with the prompt's and the output's part in one.
std::string name_of(JsonValue benchmark) {
    const auto size = [&](const char* key) { return benchmark[key].integer().value_or(0); };
    const JsonValue context_phase = benchmark["is_context_prefill_phase"];
    std::string name = context_phase.plain() == "true"
                           ? fmt::format("ctx_pp+ctx_tg @ d{}", size("context_size"))
                           : fmt::format("pp{}+tg{}", size("prompt_size"), size("response_size"));
    if (context_phase.plain() != "true" && size("context_size") > 0)
        name += fmt::format(" @ d{}", size("context_size"));
    if (size("concurrency") > 1) name += fmt::format(" (c{})", size("concurrency"));
    return name;
}

std::string read_benchmark(JsonValue root, JsonValue benchmark, MeasuredFile& file) {
    if (!benchmark.is_object()) return "no object";
    MeasuredWorkload out;
    out.name = name_of(benchmark);
    out.when = root["timestamp"].plain();
    tell(out, "model", root["model"].plain());
    tell(out, "prompt_tokens", benchmark["prompt_size"].plain());
    tell(out, "output_tokens", benchmark["response_size"].plain());
    tell(out, "context_depth", benchmark["context_size"].plain());
    tell(out, "concurrency", benchmark["concurrency"].plain());
    tell(out, "workload", out.name);
    tell(out, "settings",
         fmt::format("latency_mode={} prefix_caching_enabled={}", root["latency_mode"].plain(),
                     root["prefix_caching_enabled"].plain()));
    for (const auto& [name, key, higher] : kKnown) {
        const JsonValue metric = benchmark[name];
        if (!metric) continue;
        auto values = metric["values"].numbers();
        if (!values) return fmt::format("\"values\" of \"{}\" must be a list of numbers", name);
        add_samples(out, key, higher, std::move(*values));
    }
    file.workloads.push_back(std::move(out));
    return {};
}

}  // namespace

std::optional<Result<MeasuredFile>> import_llama_benchy(std::string_view text, const std::string& source) {
    if (first_of(text) != '{' || !mentions(text, "latency_mode") || !mentions(text, "pp_throughput"))
        return std::nullopt;
    const auto document = JsonText::parse(text, {"throughput_over_time", "requests_throughput_over_time"});
    if (!document) return broken_file(source, kTool, document.error().message);
    const JsonValue root = document->root();
    const JsonValue benchmarks = root["benchmarks"];
    if (!benchmarks.is_array()) return std::nullopt;
    MeasuredFile file{.tool = std::string(kTool), .workloads = {}, .notes = {kNote}};
    for (std::size_t i = 0; i < benchmarks.size(); ++i)
        if (const auto problem = read_benchmark(root, benchmarks.at(i), file); !problem.empty())
            return broken_file(source, kTool, fmt::format("benchmark {}: {}", i + 1, problem));
    return file;
}

}  // namespace velollm::serde
