#include "serde/files.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

namespace velollm::serde {
namespace {

using nlohmann::json;

constexpr std::int64_t kMaxTokens = 1'000'000;
constexpr std::int64_t kMaxIterations = 100'000;

Error wrong(const std::string& source, std::string what, std::string hint) {
    return {ErrorCode::kUsage, fmt::format("{}: {}", source, what), std::move(hint)};
}

/// A whole number from 1 to `max` under `key`, `fallback` where it is left out; nothing when it is something else.
std::optional<std::int64_t> number(const json& object, const char* key, std::int64_t fallback, std::int64_t max) {
    const auto it = object.find(key);
    if (it == object.end() || it->is_null()) return fallback;
    if (!it->is_number_integer()) return std::nullopt;
    if (it->is_number_unsigned() && it->get<std::uint64_t>() > static_cast<std::uint64_t>(max)) return std::nullopt;
    const auto value = it->get<std::int64_t>();
    return value >= 1 && value <= max ? std::optional(value) : std::nullopt;
}

std::optional<std::string> text(const json& object, const char* key) {
    const auto it = object.find(key);
    if (it == object.end() || it->is_null()) return std::string();
    return it->is_string() ? std::optional(it->get<std::string>()) : std::nullopt;
}

Result<BenchmarkConfig> read_config(const json& entry, std::size_t index, const std::string& source) {
    const auto bad = [&](std::string_view what) {
        return wrong(source, fmt::format("benchmark {}: {}", index + 1, what),
                     R"(A benchmark looks like {"name": "x", "prompt": "...", "max_tokens": 100, "iterations": 5})");
    };
    if (!entry.is_object()) return bad("not an object");
    for (const auto& [key, value] : entry.items())
        if (key != "name" && key != "model" && key != "prompt" && key != "max_tokens" && key != "iterations")
            return bad(fmt::format("unknown key \"{}\"", key));
    const auto name = text(entry, "name");
    const auto model = text(entry, "model");
    const auto prompt = text(entry, "prompt");
    const auto max_tokens = number(entry, "max_tokens", 50, kMaxTokens);
    const auto iterations = number(entry, "iterations", 3, kMaxIterations);
    if (!name || !model) return bad("\"name\" and \"model\" must be texts");
    if (!prompt || prompt->empty()) return bad("\"prompt\" is missing or not a text");
    if (!max_tokens) return bad(fmt::format("\"max_tokens\" must be a whole number from 1 to {}", kMaxTokens));
    if (!iterations) return bad(fmt::format("\"iterations\" must be a whole number from 1 to {}", kMaxIterations));
    return BenchmarkConfig{.name = name->empty() ? fmt::format("benchmark_{}", index + 1) : *name,
                           .model = *model,
                           .prompt = *prompt,
                           .max_tokens = *max_tokens,
                           .iterations = *iterations};
}

/// The parser's own words without its internal prefix.
std::string parse_failure(const json::exception& error) {
    const std::string what = error.what();
    const std::size_t end = what.find("] ");
    return "not valid JSON: " + (end == std::string::npos ? what : what.substr(end + 2));
}

}  // namespace

Result<std::vector<BenchmarkConfig>> read_suite(std::string_view input, const std::string& source) {
    try {
        const json document = json::parse(input);
        if (!document.is_array() || document.empty())
            return wrong(source, "a suite is a JSON array of benchmarks, with at least one",
                         R"(For example [{"name": "x", "prompt": "...", "max_tokens": 100, "iterations": 5}])");
        std::vector<BenchmarkConfig> out;
        for (std::size_t i = 0; i < document.size(); ++i) {
            // A result file is a suite too: its elements carry the config.
            const bool result = document[i].is_object() && document[i].contains("config");
            auto config = read_config(result ? document[i].at("config") : document[i], i, source);
            if (!config) return config.error();
            out.push_back(*config);
        }
        return out;
    } catch (const json::exception& error) {
        return wrong(source, parse_failure(error), "Check the file with: jq . FILE");
    }
}

Result<std::vector<std::pair<std::string, std::string>>> read_settings(std::string_view input,
                                                                       const std::string& source) {
    try {
        const json document = json::parse(input);
        const char* example = R"(For example {"backend": "embedded", "seed": 7})";
        if (!document.is_object()) return wrong(source, "settings are a JSON object", example);
        std::vector<std::pair<std::string, std::string>> out;
        for (const auto& [key, value] : document.items()) {
            if (value.is_structured() || value.is_null())
                return wrong(source, fmt::format("\"{}\" must be a text, a number, true or false", key), example);
            out.emplace_back(key, value.is_string() ? value.get<std::string>() : value.dump());
        }
        return out;
    } catch (const json::exception& error) {
        return wrong(source, parse_failure(error), "Check the file with: jq . FILE");
    }
}

}  // namespace velollm::serde
