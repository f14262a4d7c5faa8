#include "serde/model_catalogue.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

namespace velollm::serde {
namespace {

using nlohmann::json;

constexpr std::string_view kSchema = "velollm.models/1.0";
constexpr std::int64_t kMaxFigure = std::int64_t{1} << 28U;
constexpr std::int64_t kMaxBytes = std::int64_t{1} << 50U;

/// Takes the values of an object by key, and remembers the first that is of the wrong kind.
class Fields {
public:
    Fields(const json& object, std::string where) : object_(object), where_(std::move(where)) {
        if (!object.is_object()) wrong("is no object");
    }

    void take(const char* key, std::int64_t& value, std::int64_t most = kMaxFigure) {
        if (const json* found = find(key)) {
            const bool whole = found->is_number_integer();
            if (!whole || found->get<double>() < 0 || found->get<double>() > static_cast<double>(most))
                return wrong(fmt::format("\"{}\" must be a whole number from 0 to {}", key, most));
            value = found->get<std::int64_t>();
        }
    }
    void take(const char* key, bool& value) {
        if (const json* found = find(key)) {
            if (!found->is_boolean()) return wrong(fmt::format("\"{}\" must be true or false", key));
            value = found->get<bool>();
        }
    }
    void take(const char* key, std::string& value) {
        if (const json* found = find(key)) {
            if (!found->is_string()) return wrong(fmt::format("\"{}\" must be a text", key));
            value = found->get<std::string>();
        }
    }
    void take(const char* key, std::vector<std::string>& values) {
        for (const json& entry : list(key)) {
            if (!entry.is_string()) return wrong(fmt::format("\"{}\" must hold texts", key));
            values.push_back(entry.get<std::string>());
        }
    }
    /// The elements of an array; none when the key isn't there.
    const json& list(const char* key) {
        static const json none = json::array();
        const json* found = find(key);
        if (found == nullptr) return none;
        if (found->is_array()) return *found;
        wrong(fmt::format("\"{}\" must be a list", key));
        return none;
    }
    /// The object under a key; nullptr when it isn't there.
    const json* part(const char* key) { return find(key); }

    /// What is wrong, also with keys that nobody took; empty when nothing is.
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
    void wrong(const std::string& what) {
        if (problem_.empty()) problem_ = where_ + ": " + what;
    }

    const json& object_;
    std::string where_;
    std::set<std::string> taken_;
    std::string problem_;
};

std::string read_experts(const json& object, const std::string& where, CatalogueModel& model) {
    Fields fields(object, where + ".experts");
    fields.take("count", model.experts);
    fields.take("used", model.experts_used);
    fields.take("shared", model.experts_shared);
    fields.take("feed_forward", model.expert_feed_forward);
    fields.take("shared_feed_forward", model.shared_feed_forward);
    fields.take("leading_dense_blocks", model.leading_dense_blocks);
    fields.take("step", model.moe_step);
    fields.take("biases", model.expert_biases);
    return fields.problem();
}

std::string read_mla(const json& object, const std::string& where, CatalogueModel& model) {
    Fields fields(object, where + ".mla");
    fields.take("q_lora_rank", model.q_lora_rank);
    fields.take("kv_lora_rank", model.kv_lora_rank);
    fields.take("key_length", model.key_length_mla);
    fields.take("value_length", model.value_length_mla);
    return fields.problem();
}

std::string read_recurrent(const json& object, const std::string& where, CatalogueModel& model) {
    Fields fields(object, where + ".recurrent");
    fields.take("interval", model.full_attention_interval);
    fields.take("conv_kernel", model.conv_kernel);
    fields.take("inner_size", model.inner_size);
    fields.take("state_size", model.state_size);
    fields.take("time_step_rank", model.time_step_rank);
    fields.take("group_count", model.group_count);
    return fields.problem();
}

std::string read_file(const json& object, const std::string& where, CatalogueModel& model) {
    PublishedFile file;
    Fields fields(object, where + ".files");
    fields.take("quantization", file.quantization);
    fields.take("bytes", file.bytes, kMaxBytes);
    fields.take("rounded_to", file.rounded_to, kMaxBytes);
    fields.take("source", file.source);
    model.files.push_back(std::move(file));
    return fields.problem();
}

std::string missing(const CatalogueModel& model, const std::string& where) {
    if (model.name.empty() || model.architecture.empty() || model.source.empty() || model.quantization.empty())
        return where + ": \"name\", \"architecture\", \"source\" and \"quantization\" are needed";
    if (model.blocks < 1 || model.blocks > 512) return where + ": \"blocks\" must be from 1 to 512";
    if (model.embedding < 1 || model.heads < 1 || model.kv_heads < 1 || model.kv_heads > model.heads ||
        model.key_length < 1 || model.vocabulary < 1 || model.context < 1)
        return where + ": a figure that every model has is missing";
    if (model.feed_forward < 1 && model.experts < 1) return where + ": \"feed_forward\" or \"experts\" is missing";
    return {};
}

std::string read_model(const json& object, std::size_t index, CatalogueModel& model) {
    const std::string where = fmt::format("model {}", index + 1);
    Fields fields(object, where);
    fields.take("name", model.name);
    fields.take("aliases", model.aliases);
    fields.take("architecture", model.architecture);
    fields.take("released", model.released);
    fields.take("source", model.source);
    fields.take("quantization", model.quantization);
    fields.take("blocks", model.blocks);
    fields.take("embedding", model.embedding);
    fields.take("heads", model.heads);
    fields.take("kv_heads", model.kv_heads);
    fields.take("key_length", model.key_length);
    model.value_length = model.rope_dimensions = model.key_length;
    fields.take("value_length", model.value_length);
    fields.take("feed_forward", model.feed_forward);
    fields.take("vocabulary", model.vocabulary);
    fields.take("context", model.context);
    fields.take("tied", model.tied);
    fields.take("sliding_window", model.sliding_window);
    fields.take("rope_dimensions", model.rope_dimensions);
    fields.take("qkv_bias", model.qkv_bias);
    fields.take("rope_factors", model.rope_factors);
    fields.take("long_factors", model.long_factors);
    std::string problem;
    const auto note = [&](std::string found) {
        if (problem.empty()) problem = std::move(found);
    };
    if (const json* part = fields.part("experts")) note(read_experts(*part, where, model));
    if (const json* part = fields.part("mla")) note(read_mla(*part, where, model));
    if (const json* part = fields.part("recurrent")) note(read_recurrent(*part, where, model));
    for (const json& file : fields.list("files")) note(read_file(file, where, model));
    note(fields.problem());
    note(missing(model, where));
    return problem;
}

/// A name that two models have; empty when there is none.
std::string shared_name(const std::vector<CatalogueModel>& models) {
    std::set<std::string> seen;
    const auto again = [&](std::string name) {
        std::transform(name.begin(), name.end(), name.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        return !seen.insert(std::move(name)).second;
    };
    for (const CatalogueModel& model : models) {
        if (again(model.name)) return model.name;
        for (const std::string& alias : model.aliases)
            if (again(alias)) return alias;
    }
    return {};
}

}  // namespace

Result<std::vector<CatalogueModel>> read_model_catalogue(std::string_view text, const std::string& source) {
    const auto bad = [&](const std::string& what) {
        return Error{ErrorCode::kUsage, fmt::format("{}: {}", source, what),
                     "See schema/velollm-models-1.schema.json for what a catalogue looks like."};
    };
    const json document = json::parse(text, nullptr, false);
    if (document.is_discarded() || !document.is_object()) return bad("not a JSON object");
    Fields fields(document, "catalogue");
    std::string schema;
    fields.take("schema", schema);
    if (schema != kSchema) return bad(fmt::format("\"schema\" must be \"{}\"", kSchema));
    std::vector<CatalogueModel> models;
    for (const json& entry : fields.list("models")) {
        CatalogueModel model;
        if (const auto problem = read_model(entry, models.size(), model); !problem.empty()) return bad(problem);
        models.push_back(std::move(model));
    }
    if (const auto problem = fields.problem(); !problem.empty()) return bad(problem);
    if (const auto name = shared_name(models); !name.empty())
        return bad(fmt::format("two models have the name \"{}\"", name));
    return models;
}

}  // namespace velollm::serde
