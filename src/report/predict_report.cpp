#include "report/predict_report.h"

#include <fmt/format.h>

#include <string_view>

#include "base/json_writer.h"
#include "base/text.h"
#include "gguf/tensor_types.h"
#include "report/facts.h"

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

void write_speed(base::JsonWriter& json, const Prediction& prediction) {
    json.key("decode").begin_object();
    json.field("depth", prediction.depth).field("bytes_per_token", prediction.traffic.total_bytes());
    json.key("bandwidth_gbps");
    if (prediction.bandwidth_gbps) {
        json.value(*prediction.bandwidth_gbps, 1);
        json.field("bandwidth_basis", prediction.bandwidth_measured ? "measured" : "theoretical");
    } else {
        json.null();
        json.key("bandwidth_basis").null();
    }
    json.field("partly_cached", prediction.partly_cached);
    json.key("most_tps");
    if (const auto most = prediction.most_tps()) {
        json.value(*most, 2);
    } else {
        json.null();
    }
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

std::string speed_lines(const Prediction& prediction) {
    const double gigabytes = static_cast<double>(prediction.traffic.total_bytes()) / 1e9;
    const std::string reads =
        fmt::format("{:.2f} GB are read for a token{}", gigabytes,
                    prediction.depth > 0 ? fmt::format(" behind {} others", prediction.depth) : "");
    if (!prediction.fits())
        return fmt::format("Speed: {}; what doesn't fit comes from the disk at each token.\n", reads);
    const auto most = prediction.most_tps();
    if (!most && !prediction.bandwidth_missing.empty())
        return fmt::format("Speed: {}. How fast memory is read could not be measured: {}.\n", reads,
                           prediction.bandwidth_missing);
    if (!most && prediction.on_gpu) return fmt::format("Speed: {}. The GPU's bandwidth is not known.\n", reads);
    if (!most) return fmt::format("Speed: {}. For a ceiling add --bandwidth, which measures the memory.\n", reads);
    const std::string_view beyond = prediction.partly_cached
                                        ? " The processor's cache holds a part of so small a model: it may be passed.\n"
                                        : "\n";
    return fmt::format("Decode: below {:.1f} tok/s, since {} at {:.1f} GB/s ({}). A ceiling, no forecast.{}", *most,
                       reads, *prediction.bandwidth_gbps,
                       prediction.bandwidth_measured ? "measured here" : "theoretical", beyond);
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
    text += "\n" + fit_lines(prediction) + speed_lines(prediction);
    for (const std::string& note : prediction.memory.notes) text += fmt::format("Note: {}.\n", note);
    return text;
}

}  // namespace velollm::report
