#include "backend/dry_run.h"

#include <fmt/core.h>
#include <llama-ext.h>
#include <llama.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <span>
#include <sstream>
#include <utility>

#include "backend/llama_library.h"
#include "base/text.h"
#include "system/child_answer.h"

namespace velollm::backend {
namespace {

constexpr std::int64_t kMostTokens = std::int64_t{1} << 30U;

struct FreeContext {
    void operator()(llama_context* context) const { llama_free(context); }
};

bool on_host(ggml_backend_buffer_type_t type) {
    ggml_backend_dev_t device = ggml_backend_buft_get_device(type);
    return ggml_backend_buft_is_host(type) || device == nullptr ||
           ggml_backend_dev_type(device) == GGML_BACKEND_DEVICE_TYPE_CPU;
}

llama_context_params params_of(const MemorySettings& settings) {
    const auto number = [](std::int64_t value) { return static_cast<std::uint32_t>(value); };
    llama_context_params params = llama_context_default_params();
    params.n_ctx = number(settings.context_tokens);
    params.n_seq_max = number(settings.sequences);
    params.n_batch = number(settings.batch_tokens);
    params.n_ubatch = number(settings.ubatch_tokens);
    params.n_outputs_max = number(settings.outputs.value_or(0));
    params.kv_unified = settings.unified;
    params.type_k = static_cast<ggml_type>(settings.key_type);
    params.type_v = static_cast<ggml_type>(settings.value_type);
    params.flash_attn_type = settings.flash_attention ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
    params.swa_full = settings.full_sliding_cache;
    params.n_threads = params.n_threads_batch = 1;
    return params;
}

bool in_range(const MemorySettings& settings) {
    const auto fits = [](std::int64_t value) { return value > 0 && value <= kMostTokens; };
    return fits(settings.context_tokens) && fits(settings.sequences) && fits(settings.batch_tokens) &&
           fits(settings.ubatch_tokens) && settings.key_type < GGML_TYPE_COUNT && settings.value_type < GGML_TYPE_COUNT;
}

using Answer = Result<std::vector<DryRunBuffer>>;

/// One line: a word that tells what it is, then what it holds.
constexpr std::string_view kBuffer = "buffer";
constexpr std::string_view kFailed = "failed";
constexpr std::string_view kDone = "done";

std::string account(llama_model* model, const MemorySettings& settings) {
    llama_errors().clear();
    const std::unique_ptr<llama_context, FreeContext> context(
        in_range(settings) ? llama_init_from_model(model, params_of(settings)) : nullptr);
    if (!context) return fmt::format("{} {}\n", kFailed, base::one_line(llama_errors(), 400));
    std::string text;
    for (const auto& [type, data] : llama_get_memory_breakdown(context.get()))
        text += fmt::format("{} {} {} {} {} {}\n", kBuffer, ggml_backend_buft_name(type), on_host(type) ? 1 : 0,
                            data.model, data.context, data.compute);
    return text + fmt::format("{}\n", kDone);
}

/// The child's part: a failed file is one line, else there are lines for each of the settings.
void account_for(const std::filesystem::path& file, std::int64_t gpu_layers, std::span<const MemorySettings> settings,
                 const system::ChildQuestion::Write& write) {
    ggml_set_abort_callback([](const char*) { std::_Exit(1); });
    start_llama_once();
    llama_errors().clear();
    llama_model_params params = llama_model_default_params();
    params.no_alloc = true;
    params.load_mode = LLAMA_LOAD_MODE_NONE;
    params.n_gpu_layers = static_cast<std::int32_t>(std::clamp<std::int64_t>(gpu_layers, 0, 1 << 20U));
    const std::unique_ptr<llama_model, FreeModel> model(llama_model_load_from_file(file.c_str(), params));
    for (const MemorySettings& setting : settings)
        write(model ? account(model.get(), setting)
                    : fmt::format("{} {}\n", kFailed, base::one_line(llama_errors(), 400)));
}

Error refused(std::string_view why) {
    return {ErrorCode::kFailed,
            fmt::format("The engine can't account for this model with these settings: {}",
                        why.empty() ? "it gives no reason" : base::one_line(why)),
            "The estimate by formula needs no engine."};
}

std::optional<DryRunBuffer> buffer_of(std::string_view line) {
    std::vector<std::string> words;
    for (std::istringstream text{std::string(line)}; text.good();) text >> words.emplace_back();
    DryRunBuffer buffer;
    if (words.size() != 5) return std::nullopt;
    buffer.name = words[0];
    buffer.host = words[1] == "1";
    std::size_t i = 2;
    for (std::int64_t* number : {&buffer.weights_bytes, &buffer.context_bytes, &buffer.compute_bytes}) {
        const std::string& word = words[i++];
        if (std::from_chars(word.data(), word.data() + word.size(), *number).ec != std::errc()) return std::nullopt;
    }
    return buffer;
}

/// The answers that a child's lines hold; fewer than there were settings when it died.
std::vector<Answer> answers_of(std::string_view text) {
    std::vector<Answer> answers;
    std::vector<DryRunBuffer> buffers;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        const std::string_view word = line.substr(0, line.find(' '));
        const std::string_view rest = line.substr(std::min(line.size(), word.size() + 1));
        if (word == kBuffer) {
            if (auto buffer = buffer_of(rest)) buffers.push_back(std::move(*buffer));
        } else if (word == kFailed) {
            answers.emplace_back(refused(rest));
        } else if (word == kDone) {
            answers.emplace_back(std::exchange(buffers, {}));
        }
    }
    return answers;
}

}  // namespace

std::vector<Answer> dry_run(const std::filesystem::path& file, std::int64_t gpu_layers,
                            const std::vector<MemorySettings>& settings) {
    constexpr auto kLongest = std::chrono::seconds(30);
    constexpr std::size_t kMostBytes = std::size_t{1} << 20U;
    system::SteadyClock clock;
    std::vector<Answer> answers;
    while (answers.size() < settings.size()) {
        const auto left = std::span(settings).subspan(answers.size());
        auto question = system::ChildQuestion::ask_in_pieces(
            [&](const system::ChildQuestion::Write& write) { account_for(file, gpu_layers, left, write); });
        std::vector<Answer> got;
        if (question) got = answers_of(question->answer(clock, clock.now() + kLongest, kMostBytes).text);
        got.resize(std::min(got.size(), left.size()), refused(""));
        const bool all = got.size() == left.size();
        std::move(got.begin(), got.end(), std::back_inserter(answers));
        if (!question) {
            answers.resize(settings.size(), question.error());
        } else if (!all) {
            answers.push_back(refused("it stops with an error of its own"));
        }
    }
    return answers;
}

bool can_dry_run() {
    return true;
}

}  // namespace velollm::backend
