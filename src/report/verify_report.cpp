#include "report/verify_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/json_writer.h"
#include "base/text.h"
#include "gguf/tensor_types.h"
#include "report/facts.h"

namespace velollm::report {
namespace {

using model::VerifiedMemory;
using model::VerifiedTerm;

std::string type_of(const VerifiedMemory& one) {
    return base::lower(gguf::tensor_type(one.settings.key_type)->name);
}

double mib(std::int64_t bytes) {
    return static_cast<double>(bytes) / static_cast<double>(kMib);
}

/// "exact" to the byte, else the difference.
std::string difference(const VerifiedTerm& term) {
    if (term.formula == term.engine) return "exact";
    return std::isfinite(term.error()) ? fmt::format("{:+.2f} %", 100 * term.error()) : "not in it";
}

std::string cell(const VerifiedTerm& term) {
    return fmt::format("  {:>9.1f} {:>9.1f} {:>9}", mib(term.formula), mib(term.engine), difference(term));
}

void write_term(base::JsonWriter& json, std::string_view key, const VerifiedTerm& term) {
    json.key(key).begin_object();
    json.field("formula_bytes", term.formula).field("engine_bytes", term.engine);
    json.key("error").value(term.error(), 6);
    json.end_object();
}

}  // namespace

std::string verification_text(const model::ModelShape& shape, const std::vector<VerifiedMemory>& verified) {
    std::string text = fmt::format("{}, {}, {}: memory by formula against the engine's own account, MiB\n\n",
                                   shape.name.empty() ? "model" : shape.name, shape.quantization, shape.architecture);
    text += fmt::format("{:>9} {:>5}  {:^29}  {:^29}  {:^29}\n", "context", "cache", "weights", "keys, values, states",
                        "compute buffer");
    text += fmt::format("{:>9} {:>5}", "", "");
    for (int i = 0; i < 3; ++i) text += fmt::format("  {:>9} {:>9} {:>9}", "formula", "engine", "error");
    text += "\n";
    for (const VerifiedMemory& one : verified) {
        text += fmt::format("{:>9} {:>5}", one.settings.context_tokens, type_of(one));
        text += one.refused ? "  " + one.refused->message : cell(one.weights) + cell(one.cache) + cell(one.compute);
        text += "\n";
    }
    const bool good =
        std::all_of(verified.begin(), verified.end(), [](const VerifiedMemory& one) { return one.good(); });
    return text +
           (good ? "\nThe formulas hold for this model: weights and cache within 0.5 %, compute buffer within 5 %.\n"
                 : "\nThe formulas don't hold for all of these settings: trust the engine's account.\n");
}

std::string verification_json(const model::ModelShape& shape, const std::vector<VerifiedMemory>& verified, int indent) {
    base::JsonWriter json(indent);
    json.begin_object().field("schema", "velollm-verification-1");
    json.field("model", text_or_null(shape.name)).field("architecture", shape.architecture);
    json.field("quantization", text_or_null(shape.quantization));
    json.key("settings").begin_array();
    for (const VerifiedMemory& one : verified) {
        json.begin_object().field("context", one.settings.context_tokens).field("cache_type", type_of(one));
        json.field("good", one.good());
        json.field("refused", one.refused ? std::optional(one.refused->message) : std::nullopt);
        write_term(json, "weights", one.weights);
        write_term(json, "cache", one.cache);
        write_term(json, "compute", one.compute);
        json.end_object();
    }
    json.end_array().end_object();
    return json.text();
}

}  // namespace velollm::report
