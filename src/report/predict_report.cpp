#include "report/predict_report.h"

#include <fmt/format.h>

#include <string_view>

#include "base/json_writer.h"
#include "base/text.h"
#include "gguf/tensor_types.h"
#include "report/facts.h"
#include "report/speed_report.h"

namespace velollm::report {
namespace {

using model::MemoryUse;
using model::Prediction;

std::string cache_type(std::uint32_t number) {
    const gguf::TensorType* type = gguf::tensor_type(number);
    return type == nullptr ? "unknown" : base::lower(type->name);
}

void write_use(base::JsonWriter& json, std::string_view key, const MemoryUse& use) {
    json.key(key).begin_object();
    json.field("weights_bytes", use.weights_bytes).field("cache_bytes", use.cache_bytes);
    json.field("state_bytes", use.state_bytes).field("compute_bytes", use.compute_bytes);
    json.field("output_bytes", use.output_bytes).field("total_bytes", use.total_bytes());
    json.end_object();
}

std::string mib_text(std::int64_t bytes) {
    const double mib = static_cast<double>(bytes) / static_cast<double>(kMib);
    return fmt::format("{:>10.{}f} MiB", mib, mib < 100 ? 1 : 0);
}

std::string use_lines(const MemoryUse& use, std::string_view types) {
    std::string text = fmt::format("  {:<20}{}\n", "weights", mib_text(use.weights_bytes));
    if (use.cache_bytes > 0)
        text += fmt::format("  {:<20}{}  {}\n", "keys and values", mib_text(use.cache_bytes), types);
    if (use.state_bytes > 0) text += fmt::format("  {:<20}{}\n", "recurrent states", mib_text(use.state_bytes));
    text += fmt::format("  {:<20}{}\n", "compute buffer", mib_text(use.compute_bytes));
    if (use.output_bytes > 0) text += fmt::format("  {:<20}{}\n", "output", mib_text(use.output_bytes));
    return text + fmt::format("  {:<20}{}", "total", mib_text(use.total_bytes()));
}

std::string title(const Prediction& prediction) {
    const model::ModelShape& shape = prediction.shape;
    std::string text = shape.name.empty() ? shape.architecture : shape.name;
    if (!shape.quantization.empty()) text += ", " + shape.quantization;
    text +=
        fmt::format(", {}, {} blocks, trained for {} tokens", shape.architecture, shape.blocks.size(), shape.context);
    if (shape.experts > 0) text += fmt::format(", {} of {} experts", shape.experts_used, shape.experts);
    return text + "\n";
}

std::string fit_lines(const Prediction& prediction) {
    const std::string where = prediction.on_gpu ? "on the GPU" : "in memory";
    std::string text = prediction.fits()
                           ? fmt::format("It fits {}: {} of {} are needed.\n", where, gib_text(prediction.needed_bytes),
                                         gib_text(prediction.limit_bytes))
                           : fmt::format("It doesn't fit {}: {} are needed, {} are available.\n", where,
                                         gib_text(prediction.needed_bytes), gib_text(prediction.limit_bytes));
    if (prediction.largest_context)
        text += fmt::format(
            "Largest context that fits: {} tokens{}.\n", *prediction.largest_context,
            *prediction.largest_context >= prediction.shape.context / 256 * 256 ? ", all it was trained for" : "");
    else
        text += "No context fits: take a smaller model or quantisation.\n";
    return text;
}

}  // namespace

std::string prediction_json(const Prediction& prediction, int indent) {
    const model::ModelShape& shape = prediction.shape;
    const backend::MemorySettings& settings = prediction.question.settings;
    base::JsonWriter json(indent);
    json.begin_object().field("schema", "velollm-prediction-1");
    json.key("model").begin_object();
    json.field("name", text_or_null(shape.name)).field("architecture", shape.architecture);
    json.field("quantization", text_or_null(shape.quantization)).field("blocks", shape.blocks.size());
    json.field("trained_context", shape.context).field("tensor_bytes", model::tensor_bytes(shape.tensors));
    json.end_object();
    json.key("settings").begin_object();
    json.field("context", settings.context_tokens).field("sequences", settings.sequences);
    json.field("key_type", cache_type(settings.key_type)).field("value_type", cache_type(settings.value_type));
    json.field("flash_attention", settings.flash_attention).field("gpu_layers", prediction.question.gpu_layers);
    json.end_object();
    json.key("memory").begin_object();
    json.field("basis", prediction.memory.basis == model::MemoryBasis::kEngine ? "engine" : "formula");
    write_use(json, "host", prediction.memory.host);
    write_use(json, "gpu", prediction.memory.gpu);
    json.field("never_given_back_bytes", prediction.memory.host_anonymous_bytes());
    json.key("notes").begin_array();
    for (const std::string& note : prediction.memory.notes) json.value(note);
    json.end_array();
    json.end_object();
    json.field("on_gpu", prediction.on_gpu).field("fits", prediction.fits());
    json.field("needed_bytes", prediction.needed_bytes).field("available_bytes", prediction.limit_bytes);
    json.field("largest_context", prediction.largest_context);
    write_speed(json, prediction);
    json.end_object();
    return json.text();
}

std::string prediction_text(const Prediction& prediction) {
    const backend::MemorySettings& settings = prediction.question.settings;
    const std::string types =
        settings.key_type == settings.value_type
            ? cache_type(settings.key_type)
            : fmt::format("{} and {}", cache_type(settings.key_type), cache_type(settings.value_type));
    const MemoryUse& use = prediction.on_gpu ? prediction.memory.gpu : prediction.memory.host;
    std::string text = title(prediction);
    text += fmt::format(
        "\nMemory with a context of {} tokens\n{}  {}\n", settings.context_tokens, use_lines(use, types),
        prediction.memory.basis == model::MemoryBasis::kEngine ? "by the engine's own account" : "by formula");
    if (prediction.on_gpu)
        text += fmt::format("  {:<20}{}\n", "beside it, in RAM", mib_text(prediction.memory.host.total_bytes()));
    text += "\n" + fit_lines(prediction) + "\n" + speed_text(prediction);
    for (const std::string& note : prediction.memory.notes) text += fmt::format("Note: {}.\n", note);
    return text;
}

}  // namespace velollm::report
