#include "optimize/registry.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "optimize/knobs_json.h"

namespace velollm::optimize {
namespace {

constexpr std::size_t kParts = 4;
constexpr std::size_t kNearEdits = 2;

/// The leading numbers: {0, 32, 15, 0}. A single one stands last but one, behind two zeros.
std::array<std::int64_t, kParts> numbers_of(std::string_view version) {
    std::array<std::int64_t, kParts> out{};
    if (!version.empty() && (version.front() == 'b' || version.front() == 'v')) version.remove_prefix(1);
    std::size_t count = 0;
    while (count < kParts) {
        const std::size_t digits = std::min(version.find_first_not_of("0123456789"), version.size());
        const auto number = base::parse_int(version.substr(0, digits));
        if (!number) break;
        out[count++] = *number;
        if (digits >= version.size() || version[digits] != '.') break;
        version.remove_prefix(digits + 1);
    }
    if (count == 1) out = {0, 0, out[0], 0};
    return out;
}

bool holds(const std::vector<std::string>& list, std::string_view word) {
    return std::find(list.begin(), list.end(), word) != list.end();
}

template <typename Entry>
bool applies(const Entry& entry, std::string_view engine, std::string_view version, std::string_view channel) {
    return entry.engine == engine && holds(entry.channels, channel) && in_range(version, entry.since, entry.before);
}

bool read_for_other_ends(std::string_view engine, std::string_view name) {
    const auto& other = registry().other;
    const auto it = other.find(std::string(engine));
    return it != other.end() && holds(it->second, name);
}

}  // namespace

const serde::KnobList& registry() {
    static const serde::KnobList list = [] {
        auto read = serde::read_knobs(knobs_json(), "data/knobs.json");
        // A test reads what is built in: a broken registry never gets here.
        return read ? std::move(*read) : serde::KnobList();
    }();
    return list;
}

bool version_less(std::string_view a, std::string_view b) {
    if (a.empty() || b.empty()) return !a.empty();
    return numbers_of(a) < numbers_of(b);
}

bool in_range(std::string_view version, std::string_view since, std::string_view before) {
    return (since.empty() || !version_less(version, since)) && (before.empty() || version_less(version, before));
}

const Knob* find_knob(std::string_view engine, std::string_view version, std::string_view channel,
                      std::string_view name) {
    for (const Knob& knob : registry().knobs)
        if (applies(knob, engine, version, channel) && (knob.name == name || holds(knob.aliases, name))) return &knob;
    return nullptr;
}

std::vector<std::string> names_of(const Knob& knob) {
    std::vector<std::string> names = knob.aliases;
    names.push_back(knob.name);
    return names;
}

const Knob* knob_for(std::string_view engine, std::string_view version, std::string_view channel,
                     std::string_view setting) {
    for (const Knob& knob : registry().knobs)
        if (applies(knob, engine, version, channel) && knob.setting == setting) return &knob;
    return nullptr;
}

NameVerdict judge_name(std::string_view engine, std::string_view version, std::string_view channel,
                       std::string_view name) {
    if (const Knob* knob = find_knob(engine, version, channel, name)) return {NameUse::kRead, "", "", knob->setting};
    if (channel == "environment" && read_for_other_ends(engine, name)) return {NameUse::kRead, "", "", ""};
    for (const serde::DeadName& dead : registry().dead)
        if (dead.name == name && applies(dead, engine, version, channel))
            return {NameUse::kDead, dead.reason, dead.instead, dead.setting};
    for (const Knob& knob : registry().knobs) {
        if (knob.engine != engine || !holds(knob.channels, channel) || knob.name != name) continue;
        return {NameUse::kDead,
                knob.before.empty() ? fmt::format("It is read from version {} on.", knob.since)
                                    : fmt::format("It is read before version {} only.", knob.before),
                "", knob.setting};
    }
    std::string nearest;
    std::size_t edits = kNearEdits + 1;
    for (const Knob& knob : registry().knobs) {
        if (!applies(knob, engine, version, channel) || name.size() < 8) continue;
        if (const std::size_t distance = base::edit_distance(name, knob.name); distance < edits) {
            edits = distance;
            nearest = knob.name;
        }
    }
    if (!nearest.empty()) return {NameUse::kMisspelt, "No release reads it: it looks misspelt.", nearest, ""};
    return {};
}

bool is_read(std::string_view engine, std::string_view version, std::string_view channel, std::string_view name) {
    return judge_name(engine, version, channel, name).use == NameUse::kRead;
}

bool is_engine_variable(std::string_view name) {
    for (const std::string_view secret : {"KEY", "TOKEN", "SECRET", "PASSWORD"})
        if (name.find(secret) != std::string_view::npos) return false;
    if (name.starts_with("OLLAMA_") || name.starts_with("LLAMA_ARG_") || name.starts_with("GGML_")) return true;
    return std::any_of(registry().knobs.begin(), registry().knobs.end(),
                       [&](const Knob& knob) { return knob.name == name && holds(knob.channels, "environment"); });
}

}  // namespace velollm::optimize
