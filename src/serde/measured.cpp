#include "serde/measured.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"
#include "serde/measured_parts.h"

namespace velollm::serde {
namespace {

constexpr std::array<Importer, 7> kImporters = {import_velollm, import_llama_bench, import_ollama_bench, import_vllm,
                                                import_aiperf,  import_guidellm,    import_llama_benchy};

constexpr const char* kForms =
    "These are read: result files of velollm (JSON); llama-bench (JSON, JSON lines, CSV, SQL, Markdown); Ollama's "
    "cmd/bench\n(benchstat, CSV); vllm bench serve (--save-result); AIPerf (profile_export_aiperf.json, "
    "profile_export.jsonl);\nGuideLLM (JSON); llama-benchy (JSON). See docs/importing.md";

Error unreadable(const std::string& source, std::string_view why) {
    return {ErrorCode::kUsage, fmt::format("{}: {}", source, why), kForms};
}

void clean(MeasuredFile& file) {
    for (MeasuredWorkload& workload : file.workloads) {
        for (std::string* text : {&workload.name, &workload.run_id, &workload.when, &workload.status})
            *text = cleaned(*text);
        for (auto& [key, value] : workload.identity) value = cleaned(value);
        for (MeasuredMetric& metric : workload.metrics) metric.key = cleaned(metric.key);
    }
    for (std::string& note : file.notes) note = cleaned(note);
}

}  // namespace

const MeasuredMetric* MeasuredWorkload::find(std::string_view key) const {
    const auto it = std::find_if(metrics.begin(), metrics.end(), [&](const auto& metric) { return metric.key == key; });
    return it == metrics.end() ? nullptr : &*it;
}

Result<MeasuredFile> read_measured(std::string_view text, const std::string& source) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
        return Error{ErrorCode::kUsage, fmt::format("{}: it is UTF-16 text", source),
                     "Some shells write that when output is redirected: write the file as UTF-8."};
    if (first_of(text) == 0) return unreadable(source, "it is empty");
    for (const Importer import : kImporters) {
        auto found = import(text, source);
        if (!found) continue;
        if (!*found) return Error{found->error().code, cleaned(found->error().message), found->error().hint};
        clean(**found);
        std::vector<MeasuredWorkload>& workloads = (*found)->workloads;
        // One that failed stays: that it did is what there is to say of it.
        std::erase_if(workloads, [](const auto& one) { return one.metrics.empty() && one.status.empty(); });
        if (workloads.empty())
            return unreadable(source, fmt::format("it has the form of {}, and nothing measured in it", (*found)->tool));
        return *found;
    }
    return unreadable(source, "it is no result file of a known form");
}

// ---- What the importers share ----

bool mentions(std::string_view text, std::string_view key) {
    return text.find(fmt::format("\"{}\"", key)) != std::string_view::npos;
}

char first_of(std::string_view text) {
    const std::size_t at = text.find_first_not_of(" \t\r\n");
    return at == std::string_view::npos ? '\0' : text[at];
}

Error broken_file(const std::string& source, std::string_view tool, std::string_view what) {
    return {ErrorCode::kUsage, fmt::format("{}: {}", source, what),
            fmt::format("It was read as a result of {}: write it anew, or take it from a run that ended.", tool)};
}

std::string cleaned(std::string_view text) {
    std::string out = base::one_line(text, text.size());
    // U+0080 to U+009F are control characters, too, and UTF-8 has them behind this byte.
    for (std::size_t i = 0; i + 1 < out.size(); ++i)
        if (out[i] == '\xC2' && static_cast<unsigned char>(out[i + 1]) < 0xA0) out.replace(i, 2, " ");
    return out;
}

void tell(MeasuredWorkload& workload, const char* name, std::string value) {
    if (!value.empty()) workload.identity[name] = std::move(value);
}

void add_samples(MeasuredWorkload& workload, std::string key, bool higher_is_better, std::vector<double> samples) {
    if (samples.empty()) return;
    const std::size_t n = samples.size();
    workload.metrics.push_back(
        {.key = std::move(key), .higher_is_better = higher_is_better, .samples = std::move(samples), .n = n});
}

void add_stated(MeasuredWorkload& workload, MeasuredMetric metric) {
    if (metric.centre) workload.metrics.push_back(std::move(metric));
}

std::string file_name(std::string_view path) {
    const std::size_t end = path.find_last_of("/\\");
    return std::string(end == std::string_view::npos ? path : path.substr(end + 1));
}

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> out;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        if (line.ends_with('\r')) line.remove_suffix(1);
        out.push_back(line);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

}  // namespace velollm::serde
