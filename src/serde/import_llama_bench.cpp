// llama-bench of llama.cpp, in each of its five forms.

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "base/text.h"
#include "serde/llama_bench_rows.h"
#include "serde/measured_parts.h"

namespace velollm::serde {
namespace {

constexpr std::string_view kTool = "llama-bench";
constexpr const char* kNote =
    "llama-bench measures the engine alone, with random tokens: no sampling, no text, no server. Its tg is a bit "
    "faster "
    "than the same engine is for a client, and its pp doesn't know a prompt cache.";

using Row = LlamaBenchRow;

/// Fields that aren't settings.
constexpr std::array<std::string_view, 24> kFacts = {"build_commit", "build_number", "cpu_info", "gpu_info", "backends",
                                                     "model_filename", "model_type", "model_size", "model_n_params",
                                                     "n_prompt", "n_gen", "n_depth", "test_time", "avg_ns", "stddev_ns",
                                                     "avg_ts", "stddev_ts", "samples_ns", "samples_ts",
                                                     // Of the Markdown table.
                                                     "model", "size", "params", "test", "t/s"};

/// "Q4_K_M" of "llama 1B Q4_K - Medium": the names that files have. Empty where it can't be told.
std::string quantization_of(std::string_view type) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kSizes{
        {{"Small", "_S"}, {"Medium", "_M"}, {"Large", "_L"}}};
    const auto words = base::split(type, ' ');
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string_view word = words[i];
        const auto digit = [&](std::size_t at) { return word.size() > at && word[at] >= '0' && word[at] <= '9'; };
        const bool known = (word.starts_with("Q") && digit(1)) || (word.starts_with("IQ") && digit(2)) ||
                           (word.starts_with("TQ") && digit(2)) || word == "F16" || word == "F32" || word == "BF16" ||
                           word == "MXFP4";
        if (!known) continue;
        const std::string name(word);
        if (i + 1 == words.size() || word == "MXFP4") return name;
        if (words[i + 1] != "-" || i + 2 >= words.size()) return std::string(base::trim(type.substr(type.find(word))));
        for (const auto& [size, letter] : kSizes)
            // Q2_K has one size only, and its file's name has none.
            if (words[i + 2] == size) return word == "Q2_K" && size == "Medium" ? name : name + std::string(letter);
        return name;
    }
    return {};
}

std::string name_of(const Row& row) {
    const std::int64_t prompt = row.integer("n_prompt").value_or(0);
    const std::int64_t generated = row.integer("n_gen").value_or(0);
    const std::int64_t depth = row.integer("n_depth").value_or(0);
    std::string name;
    if (prompt > 0) name = fmt::format("pp{}", prompt);
    if (generated > 0) name += fmt::format("{}tg{}", name.empty() ? "" : "+", generated);
    return depth > 0 ? fmt::format("{} @ d{}", name, depth) : name;
}

std::string settings_of(const Row& row) {
    std::string out;
    for (const auto& [key, value] : row.fields)
        if (std::find(kFacts.begin(), kFacts.end(), key) == kFacts.end() && !value.empty())
            out += fmt::format("{}{}={}", out.empty() ? "" : " ", key, value);
    return out;
}

std::string joined(std::initializer_list<std::string> parts) {
    std::string out;
    for (const std::string& part : parts)
        if (!part.empty()) out += (out.empty() ? "" : ", ") + part;
    return out;
}

void read_identity(const Row& row, MeasuredWorkload& out) {
    const std::string type = row["model_type"];
    tell(out, "model", row["model_filename"].empty() ? type : file_name(row["model_filename"]));
    tell(out, "model_type", type);
    tell(out, "quantization", quantization_of(type));
    tell(out, "engine", "llama.cpp");
    const std::string number = row["build_number"];
    tell(out, "engine_version",
         number.empty() ? row["build_commit"] : fmt::format("{} ({})", row["build_commit"], number));
    for (const auto& [name, field] : {std::pair{"prompt_tokens", "n_prompt"}, std::pair{"output_tokens", "n_gen"},
                                      std::pair{"context_depth", "n_depth"}})
        tell(out, name, row[field]);
    tell(out, "concurrency", "1");
    tell(out, "workload", out.name);
    tell(out, "machine", joined({row["cpu_info"], row["gpu_info"]}));
    tell(out, "hardware", joined({row["cpu_info"], row["gpu_info"]}));
    // The Markdown table has this only: as a part of the hardware it would be another one than that of the other forms.
    tell(out, "backend", row["backends"]);
    tell(out, "settings", settings_of(row));
    out.when = row["test_time"];
}

/// What is wrong with the row; empty when nothing is.
std::string read_row(const Row& row, MeasuredFile& file) {
    for (const char* key : {"n_prompt", "n_gen"})
        if (!row.integer(key)) return fmt::format("\"{}\" must be a whole number", key);
    MeasuredWorkload out;
    out.name = name_of(row);
    if (out.name.empty()) return "neither a prompt nor an output was measured";
    read_identity(row, out);
    const bool prompt = *row.integer("n_prompt") > 0;
    const bool generated = *row.integer("n_gen") > 0;
    // Both in one figure is neither of them.
    MeasuredMetric metric{.key = prompt && generated ? "llama_bench.avg_ts" : prompt ? "prefill_tps" : "decode_tps"};
    if (row.samples_ns && !row.samples_ns->empty()) {
        // The speeds that stand beside them are rounded to six digits.
        const auto tokens = static_cast<double>(*row.integer("n_prompt")) + static_cast<double>(*row.integer("n_gen"));
        for (const double ns : *row.samples_ns) {
            if (!(ns > 0)) return "\"samples_ns\" must be times";
            metric.samples.push_back(1e9 * tokens / ns);
        }
    } else if (row.samples_ts) {
        metric.samples = *row.samples_ts;
    }
    metric.n = metric.samples.size();
    if (metric.samples.empty()) {
        metric.centre = row.number("avg_ts");
        metric.centre_is = "mean";
        metric.spread = row.number("stddev_ts");
        if (!metric.centre) return "\"avg_ts\" must be a number";
    }
    out.metrics.push_back(std::move(metric));
    file.workloads.push_back(std::move(out));
    return {};
}

/// What the settings of a workload say that those of another one with its name don't.
std::string difference(const MeasuredWorkload& workload, const std::vector<const MeasuredWorkload*>& others) {
    std::string out;
    const auto add = [&](std::string_view text) { out += fmt::format("{}{}", out.empty() ? "" : " ", text); };
    const auto of = [](const MeasuredWorkload& one, const char* key) {
        const auto it = one.identity.find(key);
        return it == one.identity.end() ? std::string() : it->second;
    };
    for (const char* key : {"model", "engine_version"}) {
        const std::string own = of(workload, key);
        if (std::any_of(others.begin(), others.end(), [&](const auto* one) { return of(*one, key) != own; })) add(own);
    }
    const std::string own = of(workload, "settings");
    for (const std::string_view word : base::split(own, ' ')) {
        const auto lacks = [&](const MeasuredWorkload* one) {
            return (" " + of(*one, "settings") + " ").find(fmt::format(" {} ", word)) == std::string::npos;
        };
        if (!word.empty() && std::any_of(others.begin(), others.end(), lacks)) add(word);
    }
    return out;
}

/// A sweep over settings has the same test several times: their names then tell the settings that differ.
void name_apart(std::vector<MeasuredWorkload>& workloads) {
    std::map<std::string, std::vector<const MeasuredWorkload*>> by_name;
    for (const MeasuredWorkload& workload : workloads) by_name[workload.name].push_back(&workload);
    std::map<std::string, int> seen;
    std::vector<std::string> names;
    for (const MeasuredWorkload& workload : workloads) {
        const auto& same = by_name[workload.name];
        const std::string apart = same.size() > 1 ? difference(workload, same) : std::string();
        names.push_back(apart.empty() ? workload.name : fmt::format("{} ({})", workload.name, apart));
        if (const int count = ++seen[names.back()]; count > 1) names.back() += fmt::format(" #{}", count);
    }
    for (std::size_t i = 0; i < workloads.size(); ++i) workloads[i].name = std::move(names[i]);
}

}  // namespace

std::optional<Result<MeasuredFile>> import_llama_bench(std::string_view text, const std::string& source) {
    const auto rows = llama_bench_rows(text);
    if (!rows) return std::nullopt;
    if (!*rows) return broken_file(source, kTool, rows->error().message);
    MeasuredFile file{.tool = std::string(kTool), .workloads = {}, .notes = {kNote}};
    for (std::size_t i = 0; i < (*rows)->size(); ++i)
        if (const auto problem = read_row((*rows)->at(i), file); !problem.empty())
            return broken_file(source, kTool, fmt::format("test {}: {}", i + 1, problem));
    name_apart(file.workloads);
    return file;
}

}  // namespace velollm::serde
