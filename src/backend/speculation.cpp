#include "backend/speculation.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>

#include "base/text.h"

namespace velollm::backend {
namespace {

constexpr const char* kTypeVariable = "LLAMA_ARG_SPEC_TYPE";
constexpr const char* kModelVariable = "LLAMA_ARG_SPEC_DRAFT_MODEL";
constexpr const char* kTokensVariable = "LLAMA_ARG_SPEC_DRAFT_N_MAX";
constexpr const char* kDraftTokens = "--spec-draft-n-max";

/// ngram-simple drafts nothing where it may draft fewer tokens than must have recurred before, which are so many unless
/// it is told otherwise.
constexpr int kSimpleMatch = 12;

/// Which flag says how many tokens a kind drafts at most; nullptr: none does.
const char* tokens_flag(std::string_view type) {
    if (type.starts_with("draft-")) return kDraftTokens;
    if (type == "ngram-simple") return "--spec-ngram-simple-size-m";
    if (type == "ngram-map-k") return "--spec-ngram-map-k-size-m";
    if (type == "ngram-map-k4v") return "--spec-ngram-map-k4v-size-m";
    return type == "ngram-mod" ? "--spec-ngram-mod-n-max" : nullptr;
}

/// ngram-mod drops a draft of fewer tokens than its minimum, which is 48 of at most 64: shorter drafts need a lower
/// one.
int least_tokens(int most) {
    return std::max(1, most * 3 / 4);
}

Error no_tokens(const std::string& what) {
    return {ErrorCode::kUsage, fmt::format("--draft-tokens can't be set {}", what), "Leave it out."};
}

std::string value_behind(const std::vector<std::string>& words, std::initializer_list<std::string_view> flags) {
    std::string value;  // the last one wins
    for (std::size_t i = 0; i + 1 < words.size(); ++i)
        if (std::find(flags.begin(), flags.end(), words[i]) != flags.end()) value = words[i + 1];
    return value;
}

std::string either(const std::string& first, const std::map<std::string, std::string>& environment, const char* name) {
    const auto found = environment.find(name);
    return !first.empty() || found == environment.end() ? first : found->second;
}

}  // namespace

std::string llama_spec_type(const EngineOptions& options, bool has_draft_model) {
    if (options.speculation == "off") return "none";
    if (options.speculation == "ngram") return "ngram-mod";
    return options.speculation.empty() && has_draft_model ? "draft-simple" : options.speculation;
}

Result<std::vector<std::string>> llama_speculation_words(const EngineOptions& options, const std::string& draft_file) {
    const std::string type = llama_spec_type(options, !draft_file.empty());
    std::vector<std::string> words;
    const auto add = [&](const std::string& flag, const std::string& value) {
        words.push_back(flag);
        words.push_back(value);
    };
    if (!draft_file.empty() && type != "none") add("-md", draft_file);
    if (!type.empty()) add("--spec-type", type);
    if (!options.draft_tokens) return words;
    if (type.empty() || type == "none")
        return Error{ErrorCode::kUsage, "--draft-tokens goes with speculative decoding",
                     "Add  --speculation ngram  or  --draft MODEL"};
    const std::string most = std::to_string(*options.draft_tokens);
    for (const std::string_view one : base::split(type, ',')) {
        if (one == "ngram-cache") return no_tokens("for ngram-cache");
        const char* flag = tokens_flag(one);
        if (flag == nullptr || std::find(words.begin(), words.end(), flag) != words.end()) continue;
        add(flag, most);
        if (one == "ngram-simple" && *options.draft_tokens < kSimpleMatch) add("--spec-ngram-simple-size-n", most);
        if (one == "ngram-mod") add("--spec-ngram-mod-n-min", std::to_string(least_tokens(*options.draft_tokens)));
    }
    return words;
}

Result<std::map<std::string, std::string>> ollama_speculation_env(const EngineOptions& options,
                                                                  const std::string& draft_file) {
    const std::string type = llama_spec_type(options, !draft_file.empty());
    std::map<std::string, std::string> environment;
    if (!type.empty()) environment[kTypeVariable] = type;
    if (!draft_file.empty() && type != "none") environment[kModelVariable] = draft_file;
    if (!options.draft_tokens) return environment;
    for (const std::string_view one : base::split(type, ','))
        if (!one.starts_with("draft-"))
            return no_tokens("through Ollama but for kinds with a draft model: no variable says it for the others");
    environment[kTokensVariable] = std::to_string(*options.draft_tokens);
    return environment;
}

std::optional<Speculation> speculation_of(const std::vector<std::string>& words,
                                          const std::map<std::string, std::string>& environment) {
    Speculation found;
    found.type = either(value_behind(words, {"--spec-type"}), environment, kTypeVariable);
    if (found.type.empty() || found.type == "none") return std::nullopt;
    const std::string model =
        either(value_behind(words, {"-md", "--model-draft", "--spec-draft-model"}), environment, kModelVariable);
    found.draft_model = std::filesystem::path(model).filename().string();
    if (const char* flag = tokens_flag(found.type)) {
        const std::string most =
            either(value_behind(words, {flag}), environment, flag == kDraftTokens ? kTokensVariable : "");
        if (const auto number = base::parse_int(most)) found.draft_tokens = static_cast<int>(*number);
    }
    return found;
}

Result<void> refuse_speculation(const TargetSpec& target) {
    if (target.options.speculation.empty() && !target.options.draft_tokens) return {};
    return Error{
        ErrorCode::kUsage,
        fmt::format("--speculation and --draft-tokens can't be set through {} that runs",
                    target.backend == "ollama"     ? "an Ollama"
                    : target.backend == "llamacpp" ? "a llama-server"
                                                   : "a server"),
        target.backend == "ollama"
            ? fmt::format(
                  "Ollama from 0.30 on takes it from its environment when it starts: {}=ngram-mod ollama serve\n"
                  "Or leave out --url to have one started here.",
                  kTypeVariable)
        : target.backend == "openai" ? "Set it where the server is started."
                                     : "llama-server takes it when it starts: --spec-type ngram-mod\nOr have it "
                                       "started:  -m FILE.gguf  without --url"};
}

}  // namespace velollm::backend
