#include "serde/knob_list.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/text.h"

namespace velollm::serde {
namespace {

using nlohmann::json;

constexpr std::string_view kSchema = "velollm.knobs/1.0";

/// Takes the values of an object by key, and remembers the first thing that is wrong.
class Entry {
public:
    Entry(const json& object, std::string where) : object_(object), where_(std::move(where)) {
        if (!object.is_object()) wrong("is no object");
    }

    void take(const char* key, std::string& value) {
        const json* found = find(key);
        if (found == nullptr) return;
        if (!found->is_string()) return wrong(fmt::format("\"{}\" must be a text", key));
        value = found->get<std::string>();
    }
    void take(const char* key, bool& value) {
        const json* found = find(key);
        if (found == nullptr) return;
        if (!found->is_boolean()) return wrong(fmt::format("\"{}\" must be true or false", key));
        value = found->get<bool>();
    }
    void take(const char* key, std::vector<std::string>& values) {
        for (const json& one : list(key)) {
            if (!one.is_string()) return wrong(fmt::format("\"{}\" must hold texts", key));
            values.push_back(one.get<std::string>());
        }
    }
    const json& list(const char* key) {
        static const json none = json::array();
        const json* found = find(key);
        if (found == nullptr) return none;
        if (found->is_array()) return *found;
        wrong(fmt::format("\"{}\" must be a list", key));
        return none;
    }
    /// Spellings with commas between them.
    void take_spellings(const char* key, std::vector<std::string>& values) {
        std::string text;
        take(key, text);
        if (text.empty()) return;
        for (const std::string_view word : base::split(text, ',')) values.emplace_back(word);
    }
    /// The value under a key; nullptr when it isn't there.
    const json* part(const char* key) { return find(key); }
    void need(bool there, const char* what) {
        if (!there) wrong(fmt::format("\"{}\" is missing", what));
    }
    void wrong(const std::string& what) {
        if (problem_.empty()) problem_ = where_ + ": " + what;
    }
    std::string problem() {
        if (problem_.empty())
            for (const auto& [key, value] : object_.items())
                if (!taken_.contains(key)) wrong(fmt::format("unknown key \"{}\"", key));
        return problem_;
    }

private:
    const json* find(const char* key) {
        if (!object_.is_object()) return nullptr;
        taken_.insert(key);
        const auto it = object_.find(key);
        return it == object_.end() ? nullptr : &*it;
    }

    const json& object_;
    std::string where_;
    std::set<std::string> taken_;
    std::string problem_;
};

std::string read_knob(const json& object, const std::string& where, Knob& knob) {
    Entry entry(object, where);
    entry.take("engine", knob.engine);
    entry.take("name", knob.name);
    entry.take("aliases", knob.aliases);
    entry.take("channels", knob.channels);
    entry.take("setting", knob.setting);
    entry.take("since", knob.since);
    entry.take("before", knob.before);
    entry.take("type", knob.type);
    entry.take("values", knob.values);
    entry.take("default", knob.preset);
    entry.take("lossless", knob.lossless);
    entry.take("moves", knob.moves);
    entry.take("unverifiable", knob.unverifiable);
    entry.take("excludes", knob.excludes);
    entry.take("note", knob.note);
    entry.take("source", knob.source);
    entry.need(!knob.name.empty(), "name");
    entry.need(!knob.setting.empty(), "setting");
    entry.need(!knob.channels.empty(), "channels");
    for (const json& one : entry.list("read_back")) {
        ReadBack back;
        Entry part(one, where + ".read_back");
        part.take("place", back.place);
        part.take_spellings("key", back.keys);
        part.take_spellings("unless", back.unless);
        part.need(!back.place.empty() && !back.keys.empty(), "place and key");
        if (std::string problem = part.problem(); !problem.empty()) return problem;
        knob.read_back.push_back(std::move(back));
    }
    entry.need(knob.read_back.empty() != knob.unverifiable.empty(), "read_back or unverifiable, and not both");
    return entry.problem();
}

std::string read_dead(const json& object, const std::string& where, DeadName& dead) {
    Entry entry(object, where);
    entry.take("engine", dead.engine);
    entry.take("name", dead.name);
    entry.take("channels", dead.channels);
    entry.take("since", dead.since);
    entry.take("before", dead.before);
    entry.take("setting", dead.setting);
    entry.take("reason", dead.reason);
    entry.take("instead", dead.instead);
    entry.need(!dead.name.empty(), "name");
    entry.need(!dead.reason.empty(), "reason");
    return entry.problem();
}

Error wrong_list(const std::string& problem) {
    return {ErrorCode::kFailed, problem, "See schema/velollm-knobs-1.schema.json"};
}

}  // namespace

Result<KnobList> read_knobs(std::string_view text, const std::string& source) {
    const json document = json::parse(text, nullptr, false);
    if (document.is_discarded()) return wrong_list(source + ": is no JSON");
    Entry entry(document, source);
    std::string schema;
    entry.take("schema", schema);
    if (schema != kSchema) return wrong_list(fmt::format("{}: \"schema\" must be \"{}\"", source, kSchema));
    KnobList list;
    for (const json& one : entry.list("knobs")) {
        Knob knob;
        if (const auto problem = read_knob(one, fmt::format("{}: knobs[{}]", source, list.knobs.size()), knob);
            !problem.empty())
            return wrong_list(problem);
        list.knobs.push_back(std::move(knob));
    }
    for (const json& one : entry.list("dead")) {
        DeadName dead;
        if (const auto problem = read_dead(one, fmt::format("{}: dead[{}]", source, list.dead.size()), dead);
            !problem.empty())
            return wrong_list(problem);
        list.dead.push_back(std::move(dead));
    }
    if (const json* other = entry.part("other")) {
        Entry engines(*other, source + ": other");
        if (other->is_object())
            for (const auto& [engine, names] : other->items()) engines.take(engine.c_str(), list.other[engine]);
        if (const auto problem = engines.problem(); !problem.empty()) return wrong_list(problem);
    }
    if (const auto problem = entry.problem(); !problem.empty()) return wrong_list(problem);
    return list;
}

}  // namespace velollm::serde
