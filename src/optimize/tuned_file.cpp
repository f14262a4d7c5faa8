#include "optimize/tuned_file.h"

#include <fmt/core.h>

#include "base/digest.h"
#include "base/json_writer.h"
#include "wire/json_reader.h"

namespace velollm::optimize {
namespace {

std::filesystem::path file_of(const system::System& system, const std::string& key) {
    return system::state_folder(system) / fmt::format("tuned-{}.json", key);
}

}  // namespace

std::string tuned_key(const Facts& facts, const std::string& prompt) {
    constexpr std::int64_t kStep = std::int64_t{2} << 30U;
    std::string text = fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n", facts.engine, facts.version, facts.model,
                                   profile_name(facts.profile), facts.hardware.cpu.model, facts.threads.count,
                                   facts.memory_bytes / kStep);
    for (const Gpu& gpu : facts.hardware.gpus) text += fmt::format("{} {}\n", gpu.name, gpu.driver);
    if (facts.shape) text += fmt::format("{}\n", facts.shape->quantization);
    const Limits& limits = facts.limits;
    text += fmt::format("{} {} {}\n{}\n{}\n", limits.allow_lossy, limits.context_tokens.value_or(0),
                        limits.max_gpu_bytes.value_or(0), facts.shape ? model::tensor_bytes(facts.shape->tensors) : 0,
                        prompt);
    text += facts.draft_model + "\n";
    for (const auto& [name, setting] : facts.settings)
        if (setting.chosen) text += fmt::format("{}={}\n", name, setting.value);
    return base::sha256_hex(text).substr(0, 16);
}

std::optional<Choice> read_tuned(const system::System& system, const std::string& key) {
    const auto text = system::read_file(file_of(system, key));
    wire::JsonReader json;
    if (!text || !json.parse(*text) || json.text("/schema") != "velollm-tuned-1") return std::nullopt;
    Choice choice;
    for (std::size_t i = 0; i < json.size("/choice").value_or(0); ++i) {
        const auto setting = json.text(fmt::format("/choice/{}/setting", i));
        const auto value = json.text(fmt::format("/choice/{}/value", i));
        if (!setting || !value) return std::nullopt;
        choice[std::string(*setting)] = std::string(*value);
    }
    if (choice.empty()) return std::nullopt;
    return choice;
}

void keep_tuned(const system::System& system, const std::string& key, const Choice& choice) {
    base::JsonWriter json(2);
    json.begin_object().field("schema", "velollm-tuned-1").key("choice").begin_array();
    for (const auto& [setting, value] : choice)
        json.begin_object().field("setting", setting).field("value", value).end_object();
    json.end_array().end_object();
    if (!system::make_folder(system::state_folder(system))) return;
    (void)system::write_file_atomic(file_of(system, key), json.text() + "\n");
}

void forget_tuned(const system::System& system, const std::string& key) {
    std::error_code error;
    std::filesystem::remove(file_of(system, key), error);
}

}  // namespace velollm::optimize
