#include "compare/likeness.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "base/text.h"

namespace velollm::compare {
namespace {

using serde::MeasuredMetric;
using serde::MeasuredWorkload;

constexpr double kPromptTolerance = 0.02;
constexpr double kPromptTokens = 2.0;
constexpr double kSameLength = 0.01;
/// Beyond it even the speed of decoding is another question: the cache that is read grows with the answer.
constexpr double kMostLength = 0.25;

struct Trait {
    std::string_view key;
    std::string_view title;
    std::string_view short_name;
    Weight weight;
    bool asked_for = false;  ///< a side that doesn't tell it is worth a word
};
constexpr std::array kTraits{
    Trait{"workload", "workload", "workload", Weight::kRefuses},
    Trait{"model", "model", "model", Weight::kRefuses, true},
    Trait{"digest", "weights", "weights", Weight::kRefuses},
    Trait{"quantization", "quantization", "quant", Weight::kRefuses, true},
    Trait{"engine", "engine", "engine", Weight::kRefuses, true},
    Trait{"engine_version", "engine version", "version", Weight::kShown},
    Trait{"context_tokens", "context", "context", Weight::kRefuses, true},
    Trait{"prompt_tokens", "prompt tokens", "prompt", Weight::kRefuses},
    Trait{"output_tokens", "output tokens", "output", Weight::kRefuses},
    Trait{"generated_tokens", "generated tokens", "generated", Weight::kShown},
    Trait{"context_depth", "depth", "depth", Weight::kRefuses, true},
    Trait{"concurrency", "concurrency", "concurrency", Weight::kRefuses, true},
    Trait{"hardware", "hardware", "hardware", Weight::kRefuses, true},
    Trait{"machine", "machine", "machine", Weight::kRefuses},
    Trait{"backend", "backend", "backend", Weight::kRefuses},
    Trait{"settings", "settings", "settings", Weight::kShown},
    Trait{"spec_type", "speculation", "speculation", Weight::kShown},
    Trait{"draft", "draft model", "draft", Weight::kShown},
};

const Trait* find_trait(std::string_view name) {
    const auto found = std::find_if(kTraits.begin(), kTraits.end(),
                                    [&](const Trait& one) { return one.key == name || one.short_name == name; });
    return found == kTraits.end() ? nullptr : &*found;
}

bool equal_within(double a, double b, double share) {
    return std::abs(a - b) <= share * std::max(std::abs(a), std::abs(b));
}

/// The number behind `name` in a text of settings, whatever stands between them: name=4096, "name": 4096.
std::string setting(const std::string& settings, std::string_view name) {
    const std::size_t at = settings.find(name);
    if (at == std::string::npos) return "";
    const std::size_t begin = settings.find_first_not_of("\"': =", at + name.size());
    if (begin == std::string::npos) return "";
    return settings.substr(begin, settings.find_first_not_of("0123456789", begin) - begin);
}

/// Whether num_ctx made the difference: one that asks for another context than the one in use explains nothing.
bool context_was_set(const MeasuredWorkload& a, const MeasuredWorkload& b) {
    const auto asked_for = [](const MeasuredWorkload& one) { return setting(trait(one, "settings"), "num_ctx"); };
    const auto got_it = [&](const MeasuredWorkload& one) { return asked_for(one) == trait(one, "context_tokens"); };
    return asked_for(a) != asked_for(b) && (got_it(a) || got_it(b));
}

/// Whether one of both has no other name than its kind, as in a table of llama-bench, and the kind is the same.
bool named_by_kind(const MeasuredWorkload& a, const MeasuredWorkload& b) {
    const std::string kind = trait(a, "model_type");
    return !kind.empty() && kind == trait(b, "model_type") && (trait(a, "model") == kind || trait(b, "model") == kind);
}

/// Whether what differs is only another way to say what other keys say better.
bool explained(std::string_view key, const MeasuredWorkload& a, const MeasuredWorkload& b) {
    const auto equal = [&](const char* other) {
        return !trait(a, other).empty() && trait(a, other) == trait(b, other);
    };
    if (key == "model") return equal("digest") || named_by_kind(a, b);
    return key == "context_tokens" && context_was_set(a, b);
}

/// Whether the reader, or the command that measured both, said that this is what is compared.
bool declared(std::string_view key, const Match& match, const std::set<std::string>& varied) {
    if (varied.contains(std::string(key))) return true;
    const MeasuredWorkload& a = match.baseline->measured;
    const MeasuredWorkload& b = match.other->measured;
    const bool in_turn = !a.run_id.empty() && a.run_id == b.run_id;
    if (key == "engine" || key == "context_tokens") return in_turn;
    if (key == "machine" || key == "backend") return varied.contains("hardware");
    if (key != "digest") return false;
    // Weights in another quantisation have another digest.
    return varied.contains("model") ||
           (varied.contains("quantization") && trait(a, "quantization") != trait(b, "quantization"));
}

/// Where the engine is told, an absent setting is one that wasn't made.
bool absent_is_none(std::string_view key, const MeasuredWorkload& a, const MeasuredWorkload& b) {
    return (key == "settings" || key == "spec_type" || key == "draft") && !trait(a, "engine").empty() &&
           !trait(b, "engine").empty();
}

bool alike(std::string_view key, const MeasuredWorkload& a, const MeasuredWorkload& b) {
    const std::string from = trait(a, std::string(key));
    const std::string to = trait(b, std::string(key));
    if (from == to) return true;
    if (from.empty() || to.empty()) return !absent_is_none(key, a, b);
    return same_count(std::string(key), from, to);
}

/// Tokens of an answer on average; of several requests the mean.
std::optional<double> generated(const MeasuredWorkload& workload) {
    if (const auto told = base::parse_double(trait(workload, "generated_tokens"))) return told;
    const MeasuredMetric* speed = workload.find("e2e_tps");
    const MeasuredMetric* time = workload.find("e2e_ms");
    if (speed == nullptr || time == nullptr || speed->samples.empty() || speed->samples.size() != time->samples.size())
        return base::parse_double(trait(workload, "output_tokens"));
    double sum = 0.0;
    for (std::size_t i = 0; i < speed->samples.size(); ++i) sum += speed->samples[i] * time->samples[i] / 1000.0;
    const double mean = sum / static_cast<double>(speed->samples.size());
    return std::isfinite(mean) ? std::optional(mean) : std::nullopt;
}

void add_status(const Match& match, std::vector<Difference>& out) {
    const std::string& a = match.baseline->measured.status;
    const std::string& b = match.other->measured.status;
    const int worst = std::max(rank_of_status(a), rank_of_status(b));
    if (worst == 0) return;
    const auto word = [](const std::string& status) { return status.empty() ? std::string("ok") : status; };
    out.push_back({"status", word(a), word(b), worst > 1 ? Weight::kRefuses : Weight::kShown});
}

}  // namespace

std::string_view weight_name(Weight weight) {
    switch (weight) {
        case Weight::kShown: return "shown";
        case Weight::kDeclared: return "declared";
        case Weight::kRefuses: return "refuses";
    }
    return "";
}

int rank_of_status(std::string_view status) {
    if (status == "failed") return 3;
    if (status == "invalid") return 2;
    return status.empty() || status == "ok" ? 0 : 1;
}

bool same_count(const std::string& key, const std::string& from, const std::string& to) {
    const auto a = base::parse_double(from);
    const auto b = base::parse_double(to);
    if (!a || !b) return false;
    if (key == "prompt_tokens") return equal_within(*a, *b, kPromptTolerance) || std::abs(*a - *b) <= kPromptTokens;
    return (key == "output_tokens" || key == "generated_tokens") && equal_within(*a, *b, kSameLength);
}

std::vector<Difference> differences(const Match& match, const std::set<std::string>& varied) {
    const MeasuredWorkload& a = match.baseline->measured;
    const MeasuredWorkload& b = match.other->measured;
    // Names of processors say less than the key of the hardware, and read better.
    const bool knows_hardware = !trait(a, "hardware").empty() && !trait(b, "hardware").empty();
    std::vector<Difference> out;
    for (const Trait& one : kTraits) {
        const std::string key(one.key);
        const std::string from = trait(a, key);
        const std::string to = trait(b, key);
        if (alike(one.key, a, b) || (key == "machine" && knows_hardware)) continue;
        Weight weight = one.weight;
        if (weight == Weight::kRefuses && explained(one.key, a, b)) weight = Weight::kShown;
        if (key == "output_tokens") {
            const auto x = base::parse_double(from);
            const auto y = base::parse_double(to);
            if (x && y && equal_within(*x, *y, kMostLength)) weight = Weight::kShown;
        }
        if (weight == Weight::kRefuses && declared(one.key, match, varied)) weight = Weight::kDeclared;
        const bool named = !trait(a, "machine").empty() && !trait(b, "machine").empty();
        const bool by_name = key == "hardware" && named && trait(a, "machine") != trait(b, "machine");
        out.push_back(by_name ? Difference{key, trait(a, "machine"), trait(b, "machine"), weight}
                              : Difference{key, from, to, weight});
    }
    if (match.baseline->tool != match.other->tool)
        out.push_back({"tool", match.baseline->tool, match.other->tool, Weight::kShown});
    add_status(match, out);
    return out;
}

std::vector<std::string> unknown_traits(const Match& match) {
    std::vector<std::string> out;
    for (const Trait& one : kTraits) {
        const std::string key(one.key);
        if (one.asked_for &&
            (trait(match.baseline->measured, key).empty() != trait(match.other->measured, key).empty()))
            out.push_back(key);
    }
    return out;
}

bool lengths_differ(const Match& match) {
    const auto a = generated(match.baseline->measured);
    const auto b = generated(match.other->measured);
    return a && b && !equal_within(*a, *b, kSameLength);
}

std::string identity_key(std::string_view name) {
    const Trait* one = find_trait(name);
    return std::string(one == nullptr ? name : one->key);
}

bool is_identity_key(std::string_view name) {
    return find_trait(name) != nullptr;
}

std::string known_keys() {
    std::string known;
    for (const Trait& one : kTraits) known += fmt::format("{}{}", known.empty() ? "" : ", ", one.short_name);
    return known;
}

std::string title_of(const std::string& key) {
    const Trait* one = find_trait(key);
    return std::string(one == nullptr ? key : one->title);
}

std::string short_value(const std::string& value) {
    constexpr std::size_t kDigest = 32;
    constexpr std::size_t kShort = 12;
    const bool digits = value.find_first_not_of("0123456789abcdef:sha-") == std::string::npos;
    return value.size() >= kDigest && digits ? value.substr(0, kShort) : value;
}

Result<std::set<std::string>> read_varied(std::string_view text) {
    std::set<std::string> keys;
    for (const std::string_view word : base::split(text, ',')) {
        const std::string name(base::trim(word));
        const Trait* one = find_trait(name);
        if (one == nullptr) {
            return Error{ErrorCode::kUsage, fmt::format("--vary {} is nothing that runs differ in", name),
                         "Known are " + known_keys()};
        }
        keys.insert(std::string(one->key));
    }
    return keys;
}

}  // namespace velollm::compare
