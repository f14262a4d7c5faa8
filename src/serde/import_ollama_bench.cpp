// cmd/bench of Ollama: lines for benchstat, or CSV; behind "# Model:" the model that the lines below are of.

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/text.h"
#include "serde/measured_parts.h"

namespace velollm::serde {
namespace {

constexpr std::string_view kTool = "ollama-bench";
constexpr std::string_view kLine = "BenchmarkModel/name=";
constexpr std::string_view kModel = "# Model: ";
constexpr std::string_view kTitles = "NAME,STEP,COUNT,NS_PER_COUNT,TOKEN_PER_SEC";

constexpr double kNoGeneration = 1000;  // ns a token

/// One step of one request.
struct Step {
    std::string model;
    std::string step;
    std::optional<double> ns;     ///< of a token, or of the whole step
    std::optional<double> count;  ///< of tokens; CSV only
};

/// What a model's lines make, in the order in which the models come.
class Collector {
public:
    void take_model(std::string_view line) {
        MeasuredWorkload* workload = nullptr;
        for (const std::string_view part : base::split(line.substr(2), '|')) {
            const std::string_view text = base::trim(part);
            const std::size_t end = text.find(": ");
            if (end == std::string_view::npos) continue;
            const std::string_view key = text.substr(0, end);
            const std::string value(text.substr(end + 2));
            if (key == "Model") workload = &of(value);
            if (workload == nullptr || value == "unknown") continue;
            if (key == "Quant") tell(*workload, "quantization", value);
            if (key == "NumCtx") tell(*workload, "context_tokens", value);
        }
    }

    void take(const Step& step) {
        MeasuredWorkload& workload = of(step.model);
        if (step.count && (step.step == "prefill" || step.step == "generate"))
            counts_[{step.model, step.step == "prefill" ? "prompt_tokens" : "output_tokens"}].push_back(*step.count);
        // It writes 0 where it has nothing, also for a first token that it missed. An answer of one token has a time
        // of a microsecond in Ollama's report, which would be a speed of a million.
        if (!step.ns || *step.ns <= 0 || (step.step == "generate" && *step.ns <= kNoGeneration)) {
            ++missing_;
            return;
        }
        if (step.step == "prefill" || step.step == "generate")
            add(workload, fmt::format("ollama_bench.{}_tps", step.step), true, 1e9 / *step.ns);
        else
            add(workload, step.step == "ttft" ? "ttft_ms" : fmt::format("ollama_bench.{}_ms", step.step), false,
                *step.ns / 1e6);
    }

    MeasuredFile finish() {
        for (const auto& [place, counts] : counts_) {
            const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
            if (*least == *most) tell(of(place.first), place.second, fmt::format("{:.0f}", *most));
        }
        file_.tool = kTool;
        file_.notes.push_back(
            "Speeds of Ollama's cmd/bench are the server's own, for n tokens in the time of n - 1: 1.6 % too high at "
            "64 tokens, 6.7 % at 16. They aren't compared with speeds by a client's clock; its TTFT is one.");
        if (missing_ > 0)
            file_.notes.push_back(fmt::format(
                "{} figures were left out that cmd/bench writes where it has none: 0, or a microsecond for a token",
                missing_));
        return std::move(file_);
    }

private:
    MeasuredWorkload& of(const std::string& model) {
        auto& all = file_.workloads;
        const auto it = std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.name == model; });
        if (it != all.end()) return *it;
        all.push_back({.name = model});
        tell(all.back(), "model", model);
        tell(all.back(), "engine", "ollama");
        tell(all.back(), "concurrency", "1");
        return all.back();
    }

    static void add(MeasuredWorkload& workload, const std::string& key, bool higher, double value) {
        auto& all = workload.metrics;
        auto it = std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.key == key; });
        if (it == all.end()) it = all.insert(all.end(), {.key = key, .higher_is_better = higher});
        it->samples.push_back(value);
        it->n = it->samples.size();
    }

    MeasuredFile file_;
    std::map<std::pair<std::string, const char*>, std::vector<double>> counts_;
    int missing_ = 0;
};

/// "BenchmarkModel/name=M/step=S 1 V ns/token W token/sec". A model's name may have slashes.
std::optional<Step> benchstat_step(std::string_view line) {
    line.remove_prefix(kLine.size());
    const std::size_t end = line.find(' ');
    const std::string_view name = line.substr(0, end);
    const std::size_t step = name.rfind("/step=");
    if (end == std::string_view::npos || step == std::string_view::npos) return std::nullopt;
    Step out{
        .model = std::string(name.substr(0, step)), .step = std::string(name.substr(step + 6)), .ns = {}, .count = {}};
    const auto words = base::split(base::trim(line.substr(end)), ' ');
    for (std::size_t i = 1; i < words.size(); ++i)
        if (words[i] == "ns/token" || words[i] == "ns/op") out.ns = base::parse_double(words[i - 1]);
    return out.ns ? std::optional(out) : std::nullopt;
}

std::optional<Step> csv_step(std::string_view line) {
    const auto fields = base::split(line, ',');
    if (fields.size() != 5) return std::nullopt;
    Step out{.model = std::string(fields[0]),
             .step = std::string(fields[1]),
             .ns = base::parse_double(fields[3]),
             .count = base::parse_double(fields[2])};
    return out.ns && out.count ? std::optional(out) : std::nullopt;
}

/// Whether a line begins with the word: the beginning of the text is enough, its lines are short.
bool has_line(std::string_view text, std::string_view begin) {
    text = text.substr(0, 20'000);
    return text.starts_with(begin) || text.find(fmt::format("\n{}", begin)) != std::string_view::npos;
}

}  // namespace

std::optional<Result<MeasuredFile>> import_ollama_bench(std::string_view text, const std::string& source) {
    const bool csv = has_line(text, kTitles);
    if (!csv && !has_line(text, kLine)) return std::nullopt;
    Collector all;
    std::size_t number = 0;
    for (const std::string_view line : lines_of(text)) {
        ++number;
        if (line.starts_with(kModel)) all.take_model(line);
        const bool of_step = csv ? !line.empty() && !line.starts_with("#") && line != kTitles : line.starts_with(kLine);
        if (!of_step) continue;
        const auto step = csv ? csv_step(line) : benchstat_step(line);
        if (!step || step->step.empty())
            return broken_file(source, kTool, fmt::format("line {}: it isn't a step of a request", number));
        all.take(*step);
    }
    return all.finish();
}

}  // namespace velollm::serde
