#include "backend/set_option.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>

#include "base/text.h"

namespace velollm::backend {
namespace {

Error wrong(std::string_view word, std::string_view why) {
    return {ErrorCode::kUsage, fmt::format("{}: {}", base::one_line(word, 80), why),
            "Settings are num_thread=4, num_ctx=, num_batch=, num_gpu=, flash_attn=, kv_type=, keep_alive=, model=,\n"
            "backend=, url=, endpoint=, draft=, speculation=, draft_tokens=; NAME=VALUE for the environment of a "
            "server that is started;\n"
            "--flag=VALUE for the command line of a llama-server that is started."};
}

bool is_variable(std::string_view name) {
    return !name.empty() && name.front() >= 'A' && name.front() <= 'Z' &&
           std::all_of(name.begin(), name.end(),
                       [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; });
}

Result<void> set_number(std::optional<int>& field, std::string_view word, std::string_view value, int least) {
    const auto number = base::parse_int(value);
    if (!number || *number < least || *number > std::numeric_limits<int>::max())
        return wrong(word, fmt::format("not a whole number from {} to {}", least, std::numeric_limits<int>::max()));
    field = static_cast<int>(*number);
    return {};
}

}  // namespace

Result<void> set_option(TargetSpec& target, std::string_view word) {
    const std::size_t equals = word.find('=');
    const std::string key(base::trim(word.substr(0, equals)));
    const std::string value(equals == std::string_view::npos ? "" : base::trim(word.substr(equals + 1)));
    if (key.starts_with("-")) {
        if (key.size() < 2) return wrong(word, "no flag");
        target.server_flags.push_back(key);
        if (equals != std::string_view::npos) target.server_flags.push_back(value);
        return {};
    }
    if (equals == std::string_view::npos) return wrong(word, "no value");
    if (is_variable(key)) {
        target.server_env[key] = value;
        return {};
    }
    struct Number {
        const char* name;
        std::optional<int> EngineOptions::*field;
        int least;
    };
    for (const Number& row :
         {Number{"num_ctx", &EngineOptions::num_ctx, 1}, Number{"num_batch", &EngineOptions::num_batch, 1},
          Number{"num_gpu", &EngineOptions::num_gpu, -1}, Number{"num_thread", &EngineOptions::num_thread, 1},
          Number{"draft_tokens", &EngineOptions::draft_tokens, 1}})
        if (key == row.name) return set_number(target.options.*row.field, word, value, row.least);
    struct Text {
        const char* name;
        std::string* field;
    };
    for (const Text& row :
         {Text{"keep_alive", &target.options.keep_alive}, Text{"flash_attn", &target.options.flash_attention},
          Text{"kv_type", &target.options.kv_type}, Text{"model", &target.model}, Text{"backend", &target.backend},
          Text{"url", &target.url}, Text{"endpoint", &target.endpoint}, Text{"draft", &target.draft},
          Text{"llama_server", &target.llama_server}, Text{"speculation", &target.options.speculation}})
        if (key == row.name) {
            if (value.empty()) return wrong(word, "no value");
            *row.field = value;
            return {};
        }
    if (key == "raw" && (value == "true" || value == "false")) {
        target.raw = value == "true";
        return {};
    }
    return wrong(word, "no such setting");
}

std::string option_words(const std::vector<std::string>& words) {
    std::string out;
    for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
    return out.empty() ? "as it is" : out;
}

}  // namespace velollm::backend
