#include "compare/side.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/text.h"
#include "compare/likeness.h"

namespace velollm::compare {
namespace {

using serde::MeasuredMetric;
using serde::MeasuredWorkload;

struct Found {
    MeasuredWorkload workload;
    std::string tool;
};

/// The value that a selection goes by.
std::string selected(const MeasuredWorkload& workload, const std::string& key) {
    if (key == "name") return workload.name;
    if (key == "run") return workload.run_id;
    return trait(workload, key);
}

bool is_wanted(const MeasuredWorkload& workload, const Wanted& wanted) {
    return std::all_of(wanted.begin(), wanted.end(), [&](const auto& one) {
        const std::string key = identity_key(one.first);
        // Backends are named as for --backend.
        const bool by_backend = key == "engine" && one.second == "llamacpp";
        return selected(workload, key) == (by_backend ? "llama-server" : one.second);
    });
}

std::string listed(const std::set<std::string>& values) {
    std::string text;
    for (const std::string& value : values) text += (text.empty() ? "" : ", ") + short_value(value);
    return text;
}

/// Equal for runs of one benchmark that may be counted as one.
bool repeats(const MeasuredWorkload& a, const MeasuredWorkload& b) {
    if (a.name != b.name) return false;
    const auto alike = [&](const char* key) { return trait(a, key) == trait(b, key); };
    return alike("workload") && alike("context_depth") && alike("concurrency") && alike("output_tokens");
}

/// The keys in which runs of one benchmark differ; what the program counts itself may vary a little.
std::vector<std::string> unlike_keys(const MeasuredWorkload& a, const MeasuredWorkload& b) {
    std::set<std::string> keys;
    for (const auto* identity : {&a.identity, &b.identity})
        for (const auto& [key, value] : *identity) keys.insert(key);
    std::vector<std::string> unlike;
    for (const std::string& key : keys) {
        const std::string from = trait(a, key);
        const std::string to = trait(b, key);
        if (from != to && !same_count(key, from, to)) unlike.push_back(key);
    }
    return unlike;
}

/// Of a summary without samples its one value is the sample.
std::vector<double> values_of(const MeasuredMetric& metric) {
    if (!metric.samples.empty() || !metric.centre) return metric.samples;
    return {*metric.centre};
}

/// Sums of runs are values as long as they are over as many requests; else it isn't known over how many.
std::size_t requests_of(const MeasuredMetric& pool, const MeasuredMetric& run) {
    if (pool.centre_is != "sum") return pool.samples.size();
    return pool.n == run.n ? pool.n : 0;
}

/// What both have. Samples and bare summaries don't go together: one is a request, the other many.
void add_run(MeasuredWorkload& pool, const MeasuredWorkload& run) {
    std::vector<MeasuredMetric> metrics;
    for (MeasuredMetric& metric : pool.metrics) {
        const auto more = std::find_if(run.metrics.begin(), run.metrics.end(),
                                       [&](const MeasuredMetric& one) { return one.key == metric.key; });
        if (more == run.metrics.end() || more->centre.has_value() != metric.centre.has_value()) continue;
        const std::vector<double> values = values_of(*more);
        metric.samples = values_of(metric);
        metric.samples.insert(metric.samples.end(), values.begin(), values.end());
        metric.pair_keys.insert(metric.pair_keys.end(), more->pair_keys.begin(), more->pair_keys.end());
        if (metric.pair_keys.size() != metric.samples.size()) metric.pair_keys.clear();
        metric.n = requests_of(metric, *more);
        metrics.push_back(std::move(metric));
    }
    pool.metrics = std::move(metrics);
    if (rank_of_status(run.status) > rank_of_status(pool.status)) pool.status = run.status;
}

void name_pairs_by_run(MeasuredWorkload& workload) {
    for (MeasuredMetric& metric : workload.metrics)
        for (std::string& key : metric.pair_keys) key = workload.run_id + "/" + key;
}

/// The word as a shell takes it.
std::string for_shell(const std::string& word) {
    if (word.find_first_of(" \t\"'\\$`&|;<>()*?[]{}#!~") == std::string::npos) return word;
    std::string out = "'";
    for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

/// The key by which a selection tells both apart, the handiest one; empty: none does.
std::string telling_key(const MeasuredWorkload& a, const MeasuredWorkload& b, const std::vector<std::string>& unlike) {
    std::vector<std::string> keys = {"engine", "model", "quantization", "context_tokens", "engine_version", "run"};
    keys.insert(keys.end(), unlike.begin(), unlike.end());
    const auto tells = [&](const std::string& key) {
        const std::string from = selected(a, key);
        const std::string to = selected(b, key);
        // A comma ends a value.
        return (key == "run" || is_identity_key(key)) && !from.empty() && !to.empty() && from != to &&
               (from + to).find(',') == std::string::npos;
    };
    const auto found = std::find_if(keys.begin(), keys.end(), tells);
    return found == keys.end() ? "" : *found;
}

Error ambiguous(const std::string& side, const Wanted& wanted, const MeasuredWorkload& a, const MeasuredWorkload& b,
                const std::vector<std::string>& unlike) {
    std::string keys;
    for (const std::string& key : unlike) keys += (keys.empty() ? "" : ", ") + title_of(key);
    const std::string message = fmt::format("{} has {} more than once, measured with different {}", side, a.name, keys);
    const std::string key = telling_key(a, b, unlike);
    if (key.empty())
        return {ErrorCode::kFailed, message, "No key that both tell has two values: name single files instead."};
    const std::string word = side == "standard input" ? "-" : side;
    const auto one = [&](const MeasuredWorkload& workload) {
        return for_shell(fmt::format("{}{}{}={}", word, wanted.empty() ? '@' : ',', key, selected(workload, key)));
    };
    return {ErrorCode::kFailed, message, fmt::format("Name one of them: {}\n              or: {}", one(a), one(b))};
}

/// A key that no benchmark has is a slip of the pen, not a selection of nothing.
std::optional<Error> unknown_key(const std::string& side, const Wanted& wanted) {
    for (const auto& [key, value] : wanted)
        if (key != "name" && key != "run" && !is_identity_key(key))
            return Error{ErrorCode::kUsage, fmt::format("{}: no benchmark is told by {}", side, key),
                         "Keys are name, run, " + known_keys()};
    return std::nullopt;
}

/// What a result of this program doesn't tell because it always was so.
void add_usual(MeasuredWorkload& workload) {
    workload.identity.try_emplace("context_depth", "0");
    workload.identity.try_emplace("concurrency", "1");
}

Error nothing_wanted(const std::string& side, const Wanted& wanted, const std::vector<Found>& all) {
    std::string text;
    std::string there;
    for (const auto& [key, value] : wanted) {
        std::set<std::string> values;
        for (const Found& one : all) values.insert(selected(one.workload, identity_key(key)));
        values.erase("");
        text += fmt::format("{}{}={}", text.empty() ? "" : ",", key, value);
        there += fmt::format("{}{}: {}", there.empty() ? "" : "; ", key, values.empty() ? "unknown" : listed(values));
    }
    return {ErrorCode::kFailed, fmt::format("{} has no benchmark with {}", side, text), "It has " + there};
}

/// KEY=VALUE[,KEY=VALUE]; nothing for other text.
std::optional<Wanted> read_wanted(std::string_view text) {
    Wanted wanted;
    for (const std::string_view part : base::split(text, ',')) {
        const std::size_t equals = part.find('=');
        if (equals == std::string_view::npos || equals == 0 ||
            part.substr(0, equals).find_first_not_of("abcdefghijklmnopqrstuvwxyz_") != std::string_view::npos)
            return std::nullopt;
        wanted.emplace_back(part.substr(0, equals), part.substr(equals + 1));
    }
    return wanted;
}

}  // namespace

std::string trait(const MeasuredWorkload& workload, const std::string& key) {
    const auto found = workload.identity.find(key);
    return found == workload.identity.end() ? "" : found->second;
}

std::pair<std::string, Wanted> split_selection(std::string_view word) {
    // A file may have the sign in its name, and a benchmark too ("custom@1024"): the first whose rest can be read it
    // is.
    for (std::size_t at = word.find('@'); at != std::string_view::npos; at = word.find('@', at + 1))
        if (auto wanted = read_wanted(word.substr(at + 1)); at > 0 && wanted)
            return {std::string(word.substr(0, at)), std::move(*wanted)};
    return {std::string(word), {}};
}

Result<Side> make_side(const std::string& name, const Wanted& wanted, const std::vector<serde::MeasuredFile>& files) {
    if (auto unknown = unknown_key(name, wanted)) return *unknown;
    std::vector<Found> found;
    Side side{.name = name, .benchmarks = {}, .notes = {}};
    for (const serde::MeasuredFile& file : files) {
        for (MeasuredWorkload workload : file.workloads) {
            if (file.tool == "velollm") add_usual(workload);
            found.push_back({std::move(workload), file.tool});
        }
        for (const std::string& note : file.notes)
            if (std::find(side.notes.begin(), side.notes.end(), note) == side.notes.end()) side.notes.push_back(note);
    }
    if (found.empty())
        return Error{ErrorCode::kFailed, fmt::format("{} holds no benchmark", name), "Name a file with results."};
    if (std::none_of(found.begin(), found.end(), [&](const Found& one) { return is_wanted(one.workload, wanted); }))
        return nothing_wanted(name, wanted, found);
    std::erase_if(found, [&](const Found& one) { return !is_wanted(one.workload, wanted); });
    std::stable_sort(found.begin(), found.end(),
                     [](const Found& a, const Found& b) { return a.workload.when < b.workload.when; });
    for (Found& one : found) {
        name_pairs_by_run(one.workload);
        const auto same = std::find_if(side.benchmarks.begin(), side.benchmarks.end(),
                                       [&](const Benchmark& known) { return repeats(known.measured, one.workload); });
        if (same == side.benchmarks.end()) {
            side.benchmarks.push_back({std::move(one.workload), one.tool, 1});
            continue;
        }
        const auto unlike = unlike_keys(same->measured, one.workload);
        if (!unlike.empty()) return ambiguous(name, wanted, same->measured, one.workload, unlike);
        add_run(same->measured, one.workload);
        ++same->runs;
    }
    return side;
}

namespace {

/// Names, depth and all else that tells one benchmark of a file from another.
bool same_benchmark(const MeasuredWorkload& a, const MeasuredWorkload& b) {
    const auto differ_if_known = [&](const char* key) {
        const std::string from = trait(a, key);
        const std::string to = trait(b, key);
        return !from.empty() && !to.empty() && from != to;
    };
    for (const char* key : {"context_depth", "concurrency", "output_tokens"})
        if (differ_if_known(key)) return false;
    const std::string id = trait(a, "workload");
    const std::string other = trait(b, "workload");
    return id.empty() || other.empty() ? a.name == b.name : id == other;
}

class Matcher {
public:
    Matcher(const Side& baseline, const Side& other) : baseline_(baseline), partner_(baseline.benchmarks.size()) {
        for (const Benchmark& one : baseline.benchmarks) left_.push_back(&one);
        for (const Benchmark& one : other.benchmarks) right_.push_back(&one);
    }

    /// Joins what `same` says; `only_if_clear`: not where there are several that it could be.
    template <typename Same>
    void join(const Same& same, bool only_if_clear) {
        for (const Benchmark*& left : left_) {
            if (left == nullptr) continue;
            const auto fits = [&](const Benchmark* right) { return right != nullptr && same(*left, *right); };
            const auto right = std::find_if(right_.begin(), right_.end(), fits);
            if (right == right_.end()) continue;
            const auto rivals = std::count_if(right_.begin(), right_.end(), fits) +
                                std::count_if(left_.begin(), left_.end(), [&](const Benchmark* one) {
                                    return one != nullptr && same(*one, **right);
                                });
            if (only_if_clear && rivals > 2) continue;
            partner_[static_cast<std::size_t>(left - baseline_.benchmarks.data())] = *right;
            left = nullptr;
            *right = nullptr;
        }
    }

    Matches matches() const {
        Matches out;
        for (std::size_t i = 0; i < partner_.size(); ++i)
            if (partner_[i] != nullptr) out.both.push_back({&baseline_.benchmarks[i], partner_[i]});
        for (const Benchmark* one : left_)
            if (one != nullptr) out.only_in_baseline.push_back(one->measured.name);
        for (const Benchmark* one : right_)
            if (one != nullptr) out.only_in_other.push_back(one->measured.name);
        return out;
    }

private:
    const Side& baseline_;
    std::vector<const Benchmark*> partner_;  // of each benchmark of the baseline
    std::vector<const Benchmark*> left_;     // null: matched
    std::vector<const Benchmark*> right_;
};

}  // namespace

Matches match(const Side& baseline, const Side& other, bool any_workload) {
    Matcher matcher(baseline, other);
    matcher.join([](const Benchmark& a, const Benchmark& b) { return same_benchmark(a.measured, b.measured); }, false);
    matcher.join([](const Benchmark& a, const Benchmark& b) { return a.measured.name == b.measured.name; }, true);
    if (any_workload) matcher.join([](const Benchmark&, const Benchmark&) { return true; }, true);
    return matcher.matches();
}

}  // namespace velollm::compare
