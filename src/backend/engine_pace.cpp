#include "backend/engine_pace.h"

#include <fmt/core.h>
#include <llama.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <sstream>
#include <vector>

#include "backend/llama_library.h"
#include "base/split_mix.h"
#include "base/text.h"
#include "system/child_answer.h"
#include "system/system.h"

namespace velollm::backend {
namespace {

constexpr std::string_view kFailed = "failed ";
constexpr std::int64_t kTrialTokens = 4;
constexpr std::int64_t kFewestTokens = 8;
constexpr std::int64_t kMostTokens = 256;

struct FreeContext {
    void operator()(llama_context* context) const { llama_free(context); }
};

/// Wall time, and what others used of the CPUs meanwhile.
class Meter {
public:
    Meter() : machine_(system::machine_time(system_)), own_(system::process_cpu_time()), begin_(clock_.now()) {}

    Pace end(std::int64_t tokens) {
        const Ns time = clock_.now() - begin_;
        const Ns own = system::process_cpu_time() - own_;
        const auto machine = system::machine_time(system_);
        Pace pace{.tokens = tokens, .time = time, .others_cores = 0};
        if (machine && machine_)
            pace.others_cores = std::max(0.0, to_seconds(machine->busy - machine_->busy - own) / to_seconds(time));
        return pace;
    }

private:
    system::System system_;
    system::SteadyClock clock_;
    std::optional<system::MachineTime> machine_;
    Ns own_;
    TimePoint begin_;
};

/// The engine with one model.
class Engine {
public:
    explicit Engine(const PaceSpec& spec) : spec_(spec) {
        start_llama_once();
        llama_errors().clear();
        llama_model_params params = llama_model_default_params();
        params.load_mode = LLAMA_LOAD_MODE_NONE;
        model_.reset(llama_model_load_from_file(spec.file.c_str(), params));
        if (!model_) return;
        const std::int64_t tokens = spec.depth + spec.prefill_tokens + kMostTokens + 1;
        llama_context_params settings = llama_context_default_params();
        settings.n_ctx = static_cast<std::uint32_t>(tokens);
        settings.n_batch = settings.n_ubatch = 512;
        settings.n_outputs_max = 1;
        settings.n_threads = settings.n_threads_batch = spec.threads;
        settings.type_k = static_cast<ggml_type>(spec.key_type);
        settings.type_v = static_cast<ggml_type>(spec.value_type);
        settings.swa_full = false;
        context_.reset(llama_init_from_model(model_.get(), settings));
    }

    bool good() const { return context_ != nullptr; }

    /// Empties the context, and fills it up to `depth` tokens.
    bool fill() {
        llama_memory_clear(llama_get_memory(context_.get()), false);
        return evaluate(spec_.depth);
    }

    /// Forgets what came behind `depth` tokens. Recurrent states can't forget a part.
    bool back_to_depth() {
        const bool forgot =
            llama_memory_seq_rm(llama_get_memory(context_.get()), 0, static_cast<llama_pos>(spec_.depth), -1);
        return forgot || fill();
    }

    bool evaluate(std::int64_t tokens) {
        const auto batch = static_cast<std::int64_t>(llama_n_batch(context_.get()));
        while (tokens > 0) {
            const std::int64_t count = std::min(tokens, batch);
            std::vector<llama_token> words(static_cast<std::size_t>(count));
            for (llama_token& word : words) word = next();
            if (llama_decode(context_.get(), llama_batch_get_one(words.data(), static_cast<std::int32_t>(count))) != 0)
                return false;
            tokens -= count;
        }
        llama_synchronize(context_.get());
        return true;
    }

    bool generate(std::int64_t tokens) {
        for (std::int64_t i = 0; i < tokens; ++i)
            if (!evaluate(1)) return false;
        return true;
    }

private:
    llama_token next() {
        const llama_vocab* vocab = llama_model_get_vocab(model_.get());
        return static_cast<llama_token>(random_.below(static_cast<std::uint64_t>(llama_vocab_n_tokens(vocab))));
    }

    PaceSpec spec_;
    base::SplitMix random_{1};
    std::unique_ptr<llama_model, FreeModel> model_;
    std::unique_ptr<llama_context, FreeContext> context_;  // after the model: must go first
};

std::string line_of(const Pace& pace) {
    return fmt::format("{} {} {}\n", pace.tokens, pace.time.count(), pace.others_cores);
}

std::string failure() {
    return fmt::format("{}{}\n", kFailed, base::one_line(llama_errors(), 400));
}

/// The child's part.
std::string time_here(const PaceSpec& spec) {
    ggml_set_abort_callback([](const char*) { std::_Exit(1); });
    Engine engine(spec);
    if (!engine.good()) return failure();
    // Warmed up by what is timed afterwards, a part of it. It also tells how many tokens take how long.
    if (!engine.evaluate(std::min<std::int64_t>(spec.prefill_tokens, 32))) return failure();
    Meter trial;
    if (!engine.generate(kTrialTokens)) return failure();
    const double token = trial.end(kTrialTokens).seconds_per_token();
    const auto tokens =
        std::clamp(static_cast<std::int64_t>(to_seconds(spec.decode_time) / token), kFewestTokens, kMostTokens);

    if (!engine.fill()) return failure();
    Meter prefill;
    if (!engine.evaluate(spec.prefill_tokens)) return failure();
    const Pace prefilled = prefill.end(spec.prefill_tokens);
    if (!engine.back_to_depth() || !engine.evaluate(1)) return failure();
    Meter decode;
    if (!engine.generate(tokens)) return failure();
    return line_of(prefilled) + line_of(decode.end(tokens));
}

std::optional<PaceSample> sample_of(const std::string& text) {
    PaceSample sample;
    std::istringstream words(text);
    for (Pace* pace : {&sample.prefill, &sample.decode}) {
        std::int64_t ns = 0;
        words >> pace->tokens >> ns >> pace->others_cores;
        pace->time = Ns{ns};
    }
    if (!words || sample.prefill.tokens <= 0 || sample.decode.tokens <= 0) return std::nullopt;
    return sample;
}

}  // namespace

Result<PaceSample> time_engine(const PaceSpec& spec, const std::function<bool()>& stop) {
    constexpr auto kLongest = std::chrono::minutes(10);
    constexpr std::size_t kMostBytes = 4096;
    auto question = system::ChildQuestion::ask([&] { return time_here(spec); });
    if (!question) return question.error();
    system::SteadyClock clock;
    const system::ChildAnswer answer = question->answer(clock, clock.now() + kLongest, kMostBytes, stop);
    if (stop && stop()) return Error{ErrorCode::kInterrupted, "Stopped while measuring", ""};
    if (const auto sample = sample_of(answer.text)) return *sample;
    std::string why = answer.text.starts_with(kFailed) ? base::one_line(answer.text.substr(kFailed.size())) : "";
    if (why.empty()) why = answer.in_time ? "it ended: " + answer.end.text() : "it took longer than ten minutes";
    return Error{ErrorCode::kFailed, "The engine could not run a model of this shape: " + why,
                 "The forecast without --measure needs no engine."};
}

}  // namespace velollm::backend
