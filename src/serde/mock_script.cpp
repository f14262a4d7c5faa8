#include "serde/mock_script.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace velollm::serde {
namespace {

using nlohmann::json;
using namespace mock;

constexpr double kMaxMs = 86'400'000;
constexpr double kMaxCount = 10'000'000;
constexpr double kMaxSteps = 20'000'000;

/// Bytes of a base64 text; nothing when it is none.
std::optional<std::string> decode_base64(std::string_view text) {
    while (text.ends_with('=')) text.remove_suffix(1);
    std::string out;
    unsigned bits = 0;
    int held = 0;
    for (const char c : text) {
        constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const std::size_t digit = kDigits.find(c);
        if (digit == std::string_view::npos) return std::nullopt;
        bits = (bits << 6 | static_cast<unsigned>(digit)) & 0xffff;
        held += 6;
        if (held < 8) continue;
        held -= 8;
        out += static_cast<char>(bits >> held & 0xff);
    }
    return held >= 6 ? std::nullopt : std::optional(out);
}

template <typename T>
struct Word {
    const char* name;
    T value;
};
template <typename T>
using Words = std::initializer_list<Word<T>>;

/// Reads the members of one object; the first thing that is wrong is kept, everything after it is of no interest.
class Members {
public:
    Members(const json& object, std::string path, std::optional<Error>& error, std::vector<std::string> allowed)
        : object_(object), path_(std::move(path)), error_(error) {
        if (!object.is_object()) fail("", "must be an object");
        if (!object.is_object()) return;
        for (const auto& [key, value] : object.items())
            if (std::find(allowed.begin(), allowed.end(), key) == allowed.end())
                fail(key, fmt::format("is unknown; allowed: {}", fmt::join(allowed, ", ")));
    }

    void number(const char* key, double& out, double min, double max) {
        const json* value = find(key);
        if (value == nullptr) return;
        if (!value->is_number() || !(value->get<double>() >= min && value->get<double>() <= max))
            return fail(key, fmt::format("must be a number from {} to {}", min, max));
        out = value->get<double>();
    }

    void count(const char* key, std::int64_t& out, double min = 0, double max = kMaxCount) {
        const json* value = find(key);
        if (value == nullptr) return;
        if (!value->is_number_integer() || value->get<double>() < min || value->get<double>() > max)
            return fail(key, fmt::format("must be a whole number from {} to {}", min, max));
        out = value->get<std::int64_t>();
    }

    void count(const char* key, std::optional<std::int64_t>& out) {
        std::int64_t value = 0;
        if (find(key) == nullptr) return;
        count(key, value);
        out = value;
    }

    void flag(const char* key, bool& out) {
        const json* value = find(key);
        if (value == nullptr) return;
        if (!value->is_boolean()) return fail(key, "must be true or false");
        out = value->get<bool>();
    }

    void text(const char* key, std::string& out) {
        const json* value = find(key);
        if (value == nullptr) return;
        if (!value->is_string()) return fail(key, "must be a text");
        out = value->get<std::string>();
    }

    template <typename T>
    void word(const char* key, T& out, Words<T> words) {
        const json* value = find(key);
        if (value == nullptr) return;
        std::vector<std::string> names;
        for (const auto& [name, meaning] : words) {
            names.emplace_back(name);
            if (value->is_string() && value->get<std::string>() == name) {
                out = meaning;
                return;
            }
        }
        fail(key, fmt::format("must be one of {}", fmt::join(names, ", ")));
    }

    /// Null and left out are the same: the script's author takes a default back.
    const json* find(const char* key) const {
        if (!object_.is_object()) return nullptr;
        const auto it = object_.find(key);
        return it == object_.end() || it->is_null() ? nullptr : &*it;
    }

    std::string path(std::string_view key) const {
        return path_.empty() ? std::string(key) : key.empty() ? path_ : fmt::format("{}.{}", path_, key);
    }

    void fail(std::string_view key, std::string_view what) {
        if (!error_)
            error_ = Error{ErrorCode::kUsage, fmt::format("\"{}\" {}", path(key), what),
                           "docs/mock.md has the language, velollm-mock --print-script an example"};
    }

    std::optional<Error>& error() { return error_; }

private:
    const json& object_;
    std::string path_;
    std::optional<Error>& error_;
};

void read_step(const json& value, const std::string& path, std::optional<Error>& error, Step& step) {
    Members in(value, path, error, {"kind", "dt_ms", "k", "repeat", "join", "text", "bytes"});
    in.word<StepKind>("kind", step.kind,
                      {{"role", StepKind::kRole},
                       {"content", StepKind::kContent},
                       {"reasoning", StepKind::kReasoning},
                       {"tool", StepKind::kTool},
                       {"empty", StepKind::kEmpty},
                       {"silent", StepKind::kSilent},
                       {"ping", StepKind::kPing},
                       {"comment", StepKind::kComment},
                       {"usage", StepKind::kUsage},
                       {"timings", StepKind::kTimings},
                       {"progress", StepKind::kProgress}});
    const bool carries = step.kind == StepKind::kContent || step.kind == StepKind::kReasoning ||
                         step.kind == StepKind::kTool || step.kind == StepKind::kSilent;
    step.k = carries ? 1 : 0;
    in.number("dt_ms", step.dt_ms, 0, kMaxMs);
    in.count("k", step.k);
    in.count("repeat", step.repeat, 1, kMaxSteps);
    in.flag("join", step.join);
    in.text("text", step.text);
    if (step.join && step.dt_ms > 0) in.fail("join", "and dt_ms exclude each other: one chunk has one instant");
    std::string encoded;
    in.text("bytes", encoded);
    if (const auto bytes = decode_base64(encoded)) {
        step.bytes = *bytes;
    } else {
        in.fail("bytes", "must be base64");
    }
}

void read_steps(Members& in, std::vector<Step>& steps) {
    const json* list = in.find("steps");
    if (list == nullptr) return;
    if (!list->is_array()) return in.fail("steps", "must be an array");
    double total = 0;
    steps.clear();
    for (std::size_t i = 0; i < list->size(); ++i) {
        read_step((*list)[i], in.path(fmt::format("steps[{}]", i)), in.error(), steps.emplace_back());
        total += static_cast<double>(steps.back().repeat);
    }
    if (total > kMaxSteps) in.fail("steps", fmt::format("are more than {}", kMaxSteps));
}

void read_http(const json& value, const std::string& path, std::optional<Error>& error, HttpScript& http) {
    Members in(value, path, error, {"framing", "header_delay_ms", "status", "keep_alive"});
    in.word<Framing>("framing", http.framing,
                     {{"chunked", Framing::kChunked}, {"length", Framing::kLength}, {"close", Framing::kClose}});
    if (const json* delay = in.find("header_delay_ms"); delay != nullptr && delay->is_string()) {
        if (*delay != "with_first_token") in.fail("header_delay_ms", "must be a number or \"with_first_token\"");
        http.header_with_first = true;
    } else if (delay != nullptr) {
        in.number("header_delay_ms", http.header_delay_ms.emplace(), 0, kMaxMs);
    }
    std::int64_t status = http.status;
    in.count("status", status, 200, 599);
    http.status = static_cast<int>(status);
    in.flag("keep_alive", http.keep_alive);
}

void read_tcp(const json& value, const std::string& path, std::optional<Error>& error, TcpScript& tcp) {
    Members in(value, path, error, {"nodelay", "split_writes", "split_gap_ms", "hold_ms", "hold_every"});
    in.flag("nodelay", tcp.nodelay);
    const json* split = in.find("split_writes");
    if (split != nullptr && split->is_array()) {
        std::int64_t last = 0;
        for (const json& cut : *split) {
            if (!cut.is_number_integer() || cut.get<double>() <= static_cast<double>(last) ||
                cut.get<double>() > kMaxCount)
                return in.fail("split_writes", "must be a number of bytes, or rising offsets above 0");
            tcp.split_at.push_back(last = cut.get<std::int64_t>());
        }
    } else {
        in.count("split_writes", tcp.split_every);
    }
    in.number("split_gap_ms", tcp.split_gap_ms, 0, kMaxMs);
    in.number("hold_ms", tcp.hold_ms, 0, kMaxMs);
    in.count("hold_every", tcp.hold_every, 1);
}

void read_finish(const json& value, const std::string& path, std::optional<Error>& error, FinishScript& finish) {
    Members in(value, path, error,
               {"reason", "usage_at", "done_marker", "hidden_tokens", "rst_after", "close_after", "error_after",
                "stall_after"});
    in.text("reason", finish.reason);
    in.word<UsageAt>("usage_at", finish.usage_at,
                     {{"none", UsageAt::kNone},
                      {"last_choice", UsageAt::kLastChoice},
                      {"own", UsageAt::kOwn},
                      {"every", UsageAt::kEvery}});
    in.flag("done_marker", finish.done_marker);
    in.count("hidden_tokens", finish.hidden_tokens);
    in.count("rst_after", finish.rst_after);
    in.count("close_after", finish.close_after);
    in.count("error_after", finish.error_after);
    in.count("stall_after", finish.stall_after);
}

void read_rates(const json& value, const std::string& path, std::optional<Error>& error, RateModel& rates) {
    Members in(value, path, error, {"pp_tok_s", "tg_tok_s", "tg_slope", "draft"});
    in.number("pp_tok_s", rates.pp_tok_s, 1e-3, 1e12);
    in.number("tg_tok_s", rates.tg_tok_s, 1e-3, 1e12);
    in.number("tg_slope", rates.tg_slope, 0, 1e6);
    if (const json* draft = in.find("draft")) {
        Members of(*draft, in.path("draft"), error, {"k", "p_accept", "seed"});
        rates.draft_k = 4;
        of.count("k", rates.draft_k, 1, 64);
        of.number("p_accept", rates.draft_p_accept, 0, 1);
        of.count("seed", rates.draft_seed);
    }
}

void read_drift(const json& value, const std::string& path, std::optional<Error>& error, DriftScript& drift) {
    Members in(value, path, error, {"per_request", "slow_first", "slow_factor", "step_at", "step_factor"});
    in.number("per_request", drift.per_request, 0, 1000);
    in.count("slow_first", drift.slow_first);
    in.number("slow_factor", drift.slow_factor, 0, 1000);
    in.count("step_at", drift.step_at);
    in.number("step_factor", drift.step_factor, 0, 1000);
}

void read_script(const json& value, const std::string& path, std::optional<Error>& error, Script& script) {
    Members in(value, path, error,
               {"wire", "http", "tcp", "prompt", "load_ms", "fixed_cost_ms", "steps", "rate_model", "finish", "drift",
                "quirks"});
    in.word<Wire>("wire", script.wire,
                  {{"any", Wire::kAny},
                   {"openai_chat", Wire::kOpenaiChat},
                   {"openai_completions", Wire::kOpenaiCompletions},
                   {"llama_completion", Wire::kLlamaCompletion},
                   {"ollama_generate", Wire::kOllamaGenerate},
                   {"ollama_chat", Wire::kOllamaChat}});
    if (const json* part = in.find("http")) read_http(*part, in.path("http"), error, script.http);
    if (const json* part = in.find("tcp")) read_tcp(*part, in.path("tcp"), error, script.tcp);
    if (const json* part = in.find("prompt")) {
        Members of(*part, in.path("prompt"), error, {"n", "reported", "cached", "cached_from"});
        of.count("n", script.prompt.n);
        of.count("reported", script.prompt.reported);
        of.count("cached", script.prompt.cached);
        of.count("cached_from", script.prompt.cached_from);
    }
    in.number("load_ms", script.load_ms, 0, kMaxMs);
    in.number("fixed_cost_ms", script.fixed_cost_ms, 0, kMaxMs);
    read_steps(in, script.steps);
    if (const json* part = in.find("rate_model"))
        read_rates(*part, in.path("rate_model"), error, script.rate_model.emplace());
    if (script.rate_model && !script.steps.empty()) in.fail("rate_model", "and steps exclude each other");
    if (!script.rate_model && in.find("steps") == nullptr) in.fail("steps", "or rate_model is needed");
    if (const json* part = in.find("finish")) read_finish(*part, in.path("finish"), error, script.finish);
    if (const json* part = in.find("drift")) read_drift(*part, in.path("drift"), error, script.drift);
    if (const json* part = in.find("quirks")) {
        Members of(*part, in.path("quirks"), error, {"prompt_count", "old_rate", "openai_timings"});
        of.flag("prompt_count", script.quirks.prompt_count);
        of.flag("old_rate", script.quirks.old_rate);
        of.flag("openai_timings", script.quirks.openai_timings);
    }
}

void read_program(json document, std::optional<Error>& error, Program& program) {
    if (!document.is_object()) {
        error = Error{ErrorCode::kUsage, "a script is a JSON object", "velollm-mock --print-script shows one"};
        return;
    }
    const json requests = document.value("requests", json::array());
    const json capacity = document.value("capacity", json::object());
    const json model = document.value("model", json(program.model));
    for (const char* key : {"requests", "capacity", "model", "$schema"}) document.erase(key);
    Members of(capacity, "capacity", error, {"slots", "queue", "loading_until_ms"});
    of.count("slots", program.capacity.slots);
    of.count("queue", program.capacity.queue);
    of.number("loading_until_ms", program.capacity.loading_until_ms, 0, kMaxMs);
    if (!model.is_string()) return of.fail("model", "must be a text");
    program.model = model.get<std::string>();
    if (!requests.is_array()) return of.fail("requests", "must be an array");
    program.requests.clear();
    if (requests.empty()) return read_script(document, "", error, program.requests.emplace_back());
    for (std::size_t i = 0; i < requests.size(); ++i) {
        json merged = document;
        merged.merge_patch(requests[i]);
        read_script(merged, fmt::format("requests[{}]", i), error, program.requests.emplace_back());
    }
}

}  // namespace

std::string_view default_mock_script() {
    return R"({
  "wire": "any",
  "model": "mock:1b",
  "rate_model": {"pp_tok_s": 2000, "tg_tok_s": 50},
  "finish": {"reason": "length", "usage_at": "own"}
}
)";
}

Result<Program> read_mock_script(std::string_view input, const std::string& source) {
    Program program;
    std::optional<Error> error;
    try {
        read_program(json::parse(input), error, program);
    } catch (const json::exception& failure) {
        error = Error{ErrorCode::kUsage, fmt::format("not valid JSON: {}", failure.what()),
                      "Check the file with: jq . FILE"};
    }
    if (!error) return program;
    error->message = fmt::format("{}: {}", source, error->message);
    return *error;
}

}  // namespace velollm::serde
