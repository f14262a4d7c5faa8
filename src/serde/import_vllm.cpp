// What "vllm bench serve --save-result" writes: one object, with --save-detailed the lists of all requests too.

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "serde/measured_parts.h"

namespace velollm::serde {
namespace {

constexpr std::string_view kTool = "vllm";
constexpr const char* kNote =
    "What vLLM calls ITL is the gap between two chunks, also to a last one without a token: it keeps its own name. Its "
    "end-to-end time ends at that chunk too, some tenths of a millisecond later than here.";
constexpr const char* kChatNote =
    "Times of vllm bench serve over chat keep their own names: older versions stop the time to the first token at a "
    "chunk without one, and the file doesn't tell the version.";

/// The name in "median_ttft_ms", and the metric whose definition is the same where the first chunk has a token.
struct Time {
    const char* name;
    const char* key;
};
constexpr std::array<Time, 4> kTimes = {
    {{"ttft", "ttft_ms"}, {"tpot", "tpot_ms"}, {"itl", "vllm.itl_ms"}, {"e2el", "e2e_ms"}}};

constexpr std::array<const char*, 7> kRates = {"request_throughput",       "request_goodput",
                                               "output_throughput",        "total_token_throughput",
                                               "max_output_tokens_per_s",  "diffusion_committed_throughput",
                                               "input_sequence_throughput"};

/// Values of the requests that succeeded, in milliseconds.
struct Requests {
    std::vector<double> ttft;
    std::vector<double> tpot;
    std::vector<double> e2el;
    std::size_t gaps = 0;

    const std::vector<double>* of(std::string_view name) const {
        return name == "ttft" ? &ttft : name == "tpot" ? &tpot : name == "e2el" ? &e2el : nullptr;
    }
};

/// What is wrong with the lists; empty when nothing is, or when there are none.
std::string read_requests(JsonValue root, Requests& out) {
    const JsonValue gaps = root["itls"];
    const auto ttfts = root["ttfts"].numbers();
    const auto tokens = root["output_lens"].numbers();
    const auto whole = root["latencies"].numbers();
    if (!root["ttfts"] && !gaps) {
        // The only list that newer versions keep without --save-detailed; it doesn't tell which requests failed.
        if (whole && root["failed"].integer() == 0)
            for (const double latency : *whole) out.e2el.push_back(1e3 * latency);
        return {};
    }
    if (!ttfts || !tokens || !gaps.is_array())
        return "\"ttfts\", \"itls\" and \"output_lens\" must be lists of numbers";
    if (ttfts->size() != gaps.size() || ttfts->size() != tokens->size())
        return "\"ttfts\", \"itls\" and \"output_lens\" must have a value for each request";
    for (std::size_t i = 0; i < ttfts->size(); ++i) {
        const auto own_gaps = gaps.at(i).numbers();
        if (!own_gaps) return fmt::format("\"itls\" of request {} must be a list of numbers", i + 1);
        // A failed request stands there with zeros.
        if (!root["errors"].at(i).plain().empty() || (*tokens)[i] <= 0 || (*ttfts)[i] <= 0) continue;
        double latency = (*ttfts)[i];
        for (const double gap : *own_gaps) latency += gap;
        if (whole && whole->size() == ttfts->size()) latency = (*whole)[i];
        out.ttft.push_back(1e3 * (*ttfts)[i]);
        out.e2el.push_back(1e3 * latency);
        if ((*tokens)[i] > 1) out.tpot.push_back(1e3 * (latency - (*ttfts)[i]) / ((*tokens)[i] - 1));
        out.gaps += own_gaps->size();
    }
    return {};
}

void read_identity(JsonValue root, MeasuredWorkload& out) {
    const std::string concurrency = root["max_concurrency"].plain();
    // "inf" where all are sent at once.
    const std::string rate = root["request_rate"].plain();
    out.name = "serve";
    if (!concurrency.empty()) out.name += fmt::format(" c{}", concurrency);
    if (!rate.empty() && rate != "inf") out.name += fmt::format(" at {}/s", rate);
    tell(out, "model", root["model_id"].plain());
    tell(out, "concurrency", concurrency);
    for (const auto& [name, list] :
         {std::pair{"prompt_tokens", "input_lens"}, std::pair{"output_tokens", "output_lens"}}) {
        const auto lengths = root[list].numbers();
        if (lengths && !lengths->empty() &&
            std::all_of(lengths->begin(), lengths->end(), [&](double length) { return length == lengths->front(); }))
            tell(out, name, fmt::format("{:.0f}", lengths->front()));
    }
    std::string settings;
    for (const char* key : {"backend", "burstiness", "endpoint_type", "label", "num_prompts", "request_rate"})
        if (const std::string value = root[key].plain(); !value.empty())
            settings += fmt::format("{}{}={}", settings.empty() ? "" : " ", key, value);
    tell(out, "settings", settings);
}

void add_percentiles(JsonValue root, const Time& time, std::size_t n, MeasuredWorkload& out) {
    const std::string end = fmt::format("_{}_ms", time.name);
    for (const std::string& key : root.keys()) {
        if (!key.starts_with("p") || !key.ends_with(end)) continue;
        const std::string percentile = key.substr(0, key.size() - end.size());
        if (percentile.find_first_not_of("0123456789.", 1) != std::string::npos || percentile.size() < 2) continue;
        add_stated(out, {.key = fmt::format("vllm.{}", key),
                         .higher_is_better = false,
                         .centre = root[key].number(),
                         .centre_is = percentile,
                         .n = n});
    }
}

void add_time(JsonValue root, const Time& time, const Requests& requests, std::size_t completed, bool chat,
              MeasuredWorkload& out) {
    const std::string key = chat ? fmt::format("vllm.{}_ms", time.name) : time.key;
    const bool pooled = std::string_view(time.name) == "itl";
    const std::vector<double>* samples = requests.of(time.name);
    if (samples != nullptr && !samples->empty()) {
        add_samples(out, key, false, *samples);
    } else {
        add_stated(out, {.key = key,
                         .higher_is_better = false,
                         .centre = root[fmt::format("median_{}_ms", time.name)].number(),
                         .centre_is = "median",
                         .spread = root[fmt::format("std_{}_ms", time.name)].number(),
                         .n = pooled ? requests.gaps : completed});
    }
    add_percentiles(root, time, pooled ? requests.gaps : completed, out);
}

}  // namespace

std::optional<Result<MeasuredFile>> import_vllm(std::string_view text, const std::string& source) {
    if (first_of(text) != '{' || !mentions(text, "request_throughput") || !mentions(text, "total_token_throughput") ||
        !mentions(text, "total_input_tokens"))
        return std::nullopt;
    // --append-result adds objects, one a line.
    const auto document = JsonText::parse_lines(text, {"generated_texts"});
    const auto whole = document ? Result<JsonText>(*document) : JsonText::parse(text, {"generated_texts"});
    if (!whole) return broken_file(source, kTool, whole.error().message);
    MeasuredFile file{.tool = std::string(kTool), .workloads = {}, .notes = {}};
    const JsonValue root = whole->root();
    const std::size_t count = root.is_array() ? root.size() : 1;
    for (std::size_t i = 0; i < count; ++i) {
        const JsonValue run = root.is_array() ? root.at(i) : root;
        if (!run["completed"].integer() || !run["duration"].number()) return std::nullopt;
        MeasuredWorkload out;
        read_identity(run, out);
        Requests requests;
        if (const auto problem = read_requests(run, requests); !problem.empty())
            return broken_file(source, kTool, problem);
        const auto completed = static_cast<std::size_t>(std::max<std::int64_t>(*run["completed"].integer(), 0));
        const std::string kind = run["backend"].plain() + run["endpoint_type"].plain();
        const bool chat = kind.find("chat") != std::string::npos;
        // Without a request that succeeded all its figures are 0.
        if (completed > 0)
            for (const Time& time : kTimes) add_time(run, time, requests, completed, chat, out);
        if (completed > 0)
            for (const char* key : kRates)
                add_stated(out, {.key = fmt::format("vllm.{}", key),
                                 .centre = run[key].number(),
                                 .centre_is = "value",
                                 .n = completed});
        const std::string note = chat ? kChatNote : kNote;
        if (std::find(file.notes.begin(), file.notes.end(), note) == file.notes.end()) file.notes.push_back(note);
        file.workloads.push_back(std::move(out));
    }
    return file;
}

}  // namespace velollm::serde
