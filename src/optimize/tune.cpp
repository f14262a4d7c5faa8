#include "optimize/tune.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include "base/text.h"
#include "optimize/registry.h"
#include "optimize/rules.h"

namespace velollm::optimize {
namespace {

constexpr double kSameMemory = 0.01;  // a process takes some pages more or fewer each time

/// "draft 4": speculation with the draft model that the user named, at most 4 tokens at once.
constexpr std::string_view kDraft = "draft ";

/// S1 .. S7 of the setting.
std::string stage_of(std::string_view setting) {
    for (const auto& [name, id] :
         {std::pair{"fit_target", "S1"}, std::pair{"threads", "S2"}, std::pair{"num_batch", "S3"},
          std::pair{"flash_attention", "S4"}, std::pair{"kv_type", "S5"}, std::pair{"kv_type_k", "S5"},
          std::pair{"spec_type", "S6"}, std::pair{"parallel", "S7"}})
        if (setting == name) return id;
    return "S";
}

/// Keeps what is said of stages together while they are made.
class StageMaker {
public:
    StageMaker(const Facts& facts, bool environment) : facts_(facts), environment_(environment) {}

    void skip(const std::string& name, const std::string& setting, std::string why) {
        plan_.skipped.emplace_back(title(name, setting), std::move(why));
    }

    /// The stage with those of the values that the setting hasn't now; skipped where the engine has no such setting.
    void add(const std::string& name, const std::string& setting, const std::vector<std::string>& values) {
        if (!can_be_set(setting)) {
            skip(name, setting, "this engine, or its version, has no setting that can be changed from here");
            return;
        }
        Stage stage{stage_of(setting), setting, {}};
        const std::string now = text_of(facts_.settings, setting);
        std::set<std::string> seen{now};
        for (const std::string& value : values)
            if (seen.insert(value).second) stage.values.push_back(value);
        if (stage.values.empty())
            skip(name, setting, "there is no other value worth trying");
        else
            plan_.stages.push_back(std::move(stage));
    }

    StagePlan take() { return std::move(plan_); }

private:
    static std::string title(const std::string& name, const std::string& setting) {
        return stage_of(setting) + " " + name;
    }

    bool can_be_set(const std::string& setting) const {
        for (const char* channel : {"request", "flag", "environment"}) {
            if (std::string_view(channel) == "environment" && !environment_) continue;
            if (knob_for(facts_.engine, facts_.version, channel, setting) != nullptr) return true;
        }
        return false;
    }

    const Facts& facts_;
    bool environment_;
    StagePlan plan_;
};

void add_threads(const Facts& facts, StageMaker& maker) {
    if (!processor_computes(facts, facts.settings)) {
        maker.skip("threads", "threads", "the model is on the GPU, whose speed they don't change");
        return;
    }
    const int now = threads_in_force(facts);
    std::vector<std::string> values;
    for (const int threads : {threads_budget(facts), threads_budget(facts) - 1, threads_budget(facts) / 2,
                              facts.hardware.cpu.physical_cores})
        if (threads >= 1 && threads != now) values.push_back(std::to_string(threads));
    maker.add("threads", "threads", values);
}

/// Batches whose compute buffer fits beside the rest, and that the prompt of a test fills twice at least: larger ones
/// would all be the same to it.
void add_batches(const Facts& facts, std::int64_t prompt_tokens, StageMaker& maker) {
    std::vector<std::string> values;
    const Place place = place_of(facts, facts.settings);
    for (const std::int64_t batch : {512, 1024, 2048, 4096}) {
        if (2 * batch > prompt_tokens) continue;
        Settings settings = facts.settings;
        settings["num_batch"] = {std::to_string(batch), "tried", true};
        const auto question = question_of(facts, settings, place);
        if (question && place.limit_bytes > 0 && needed_bytes(facts, *question, place) > place.limit_bytes) continue;
        values.push_back(std::to_string(batch));
    }
    if (values.empty())
        maker.skip(
            "batch of the prompt", "num_batch",
            fmt::format("prompts of some {} tokens, as they are measured here, don't fill one; --profile rag has "
                        "longer ones",
                        prompt_tokens));
    else
        maker.add("batch of the prompt", "num_batch", values);
}

std::string effect_text(const stats::Factors& factors) {
    return fmt::format("{:+.1f} .. {:+.1f} %", 100.0 * (1.0 / factors.high - 1.0), 100.0 * (1.0 / factors.low - 1.0));
}

std::vector<std::string> evidence_of(const SearchResult& result, const std::string& setting) {
    std::vector<std::string> lines;
    const auto stage = std::find_if(result.stages.begin(), result.stages.end(),
                                    [&](const StageResult& one) { return one.stage.setting == setting; });
    lines.push_back(stage == result.stages.end()
                        ? std::string("an earlier search on this machine ended in it")
                        : fmt::format("{} values ran {} times in blocks that all shared; this one came out ahead",
                                      stage->values.size(), stage->race.runs));
    if (result.confirmed && result.confirmed->measured.judgement.interval) {
        const stats::Judgement& judged = result.confirmed->measured.judgement;
        lines.push_back(fmt::format(
            "confirmed with all changes together on fresh requests: {:+.1f} % ({}, {:.1f} %), {} pairs, p = {:.3g}",
            100.0 * (1.0 / judged.factor - 1.0), effect_text(*judged.interval), 100.0 * judged.interval->level,
            judged.n, judged.p));
    }
    return lines;
}

std::vector<Effect> effects_of(const SearchResult& result) {
    std::vector<Effect> effects;
    if (!result.confirmed) return effects;
    const benchmark::AbResult& measured = result.confirmed->measured;
    if (const auto& range = measured.judgement.interval)
        effects.push_back({"turn", 1.0 / range->high, 1.0 / range->low});
    for (const benchmark::AbMetric& other : measured.others) {
        const auto& range = other.judgement.interval;
        if (!range) continue;
        if (other.key == "decode_tps") effects.push_back({"decode", range->low, range->high});
        if (other.key == "ttft_ms") effects.push_back({"ttft", range->low, range->high});
    }
    const auto before = benchmark::most_model_bytes(measured.pairs, 0);
    const auto after = benchmark::most_model_bytes(measured.pairs, 1);
    if (before && after && *before > 0 && *after != *before) {
        const double ratio = static_cast<double>(*after) / static_cast<double>(*before);
        if (std::abs(ratio - 1.0) > kSameMemory) effects.push_back({"memory", ratio, ratio});
    }
    return effects;
}

/// Why nothing is changed, and whether that is since nothing better is there.
std::pair<std::string, bool> outcome_of(const SearchResult& result) {
    if (result.stages.empty() && !result.confirmed)
        return {"Nothing was tried: there was no time for it. Take a larger --budget.", false};
    if (!result.confirmed)
        return {"Nothing to change: no measurable improvement, since no value that was tried was ahead.", true};
    const benchmark::AbResult& measured = result.confirmed->measured;
    const stats::Judgement& judged = measured.judgement;
    const std::string best = choice_words(result.best);
    if (measured.end == benchmark::AbEnd::kLost || measured.end == benchmark::AbEnd::kFailing)
        return {fmt::format("Not changed: the confirmation of {} ended early, {}.", best,
                            measured.error ? measured.error->message : "pair after pair brought no value"),
                false};
    const std::string gain = fmt::format("{:+.1f} %", 100.0 * (1.0 / judged.factor - 1.0));
    const std::string range = judged.interval ? fmt::format(" ({})", effect_text(*judged.interval)) : "";
    if (result.end == SearchEnd::kTradeoff)
        return {fmt::format("Not changed: {} brings {}{}, but {}. --accept-tradeoffs takes it.", best, gain, range,
                            result.worse),
                false};
    const bool real = judged.decision == stats::Decision::kFaster || judged.decision == stats::Decision::kSmall;
    if (real && judged.factor < 1.0)
        return {fmt::format("Nothing to change: {} is faster, by {}{}, which is less than a change is worth.", best,
                            gain, range),
                true};
    if (judged.decision == stats::Decision::kSlower)
        return {
            fmt::format("Nothing to change: no measurable improvement. The best that was tried, {}, is slower: {}{}.",
                        best, gain, range),
            true};
    return {fmt::format("Nothing to change: no measurable improvement. The best that was tried, {}, measured {} in {} "
                        "pairs, which chance may have made; a gain of {:.1f} % is found in 80 % of cases.",
                        best, gain, judged.n, 100.0 * result.visible),
            true};
}

}  // namespace

std::optional<TuneBudget> parse_budget(std::string_view name) {
    if (name == "quick") return TuneBudget{std::chrono::minutes(5)};
    if (name == "normal") return TuneBudget{std::chrono::minutes(20)};
    if (name == "thorough") return TuneBudget{std::chrono::minutes(60)};
    return std::nullopt;
}

std::int64_t test_depth(const Facts& facts, const TuneBudget& budget) {
    constexpr std::int64_t kUsualContext = 4096;
    const bool quick = budget.quick();
    const bool long_prompts = facts.profile == Profile::kRag || facts.profile == Profile::kAgent;
    const std::int64_t wanted = long_prompts ? (quick ? 1024 : 2048) : (quick ? 192 : 512);
    const auto context = base::parse_int(text_of(facts.settings, "num_ctx"));
    return std::min(wanted, context.value_or(kUsualContext) / 2);
}

StagePlan tune_stages(const Facts& facts, const TuneBudget& budget, bool environment) {
    StageMaker maker(facts, environment);
    const bool gpu = std::any_of(facts.hardware.gpus.begin(), facts.hardware.gpus.end(),
                                 [](const Gpu& one) { return !one.integrated; });
    if (!gpu)
        maker.skip("placement", "fit_target", "no GPU is here");
    else if (!processor_computes(facts, facts.settings))
        maker.skip("placement", "fit_target", "the model is on the GPU as a whole");
    else
        maker.add("memory left free on the GPU, MiB", "fit_target", {"512", "256"});
    add_threads(facts, maker);
    add_batches(facts, test_depth(facts, budget), maker);
    if (budget.all_stages())
        maker.add("flash attention", "flash_attention", {facts.engine == "ollama" ? "0" : "off"});
    else
        maker.skip("flash attention", "flash_attention",
                   "leaving it to the engine is best nearly always; --budget thorough tries it");
    if (facts.limits.allow_lossy)
        maker.add("type of the cache", facts.engine == "llama-server" ? "kv_type_k" : "kv_type", {"q8_0"});
    else
        maker.skip("type of the cache", "kv_type", "it may change answers; --allow-lossy tries it");
    using Values = std::vector<std::string>;
    Values speculation = facts.engine == "embedded" ? Values{"ngram"} : Values{"ngram-mod", "ngram-simple"};
    if (facts.engine == "llama-server" && facts.shape && has_prediction_layers(*facts.shape))
        speculation.emplace_back("draft-mtp");
    if (!facts.draft_model.empty())
        for (const char* tokens : {"2", "4", "8"}) speculation.push_back(fmt::format("{}{}", kDraft, tokens));
    maker.add("speculation", "spec_type", speculation);
    if (facts.profile == Profile::kBatch)
        maker.add("parallel requests", "parallel", {"2", "4", "8"});
    else
        maker.skip("parallel requests", "parallel", "they are for --profile batch");
    return maker.take();
}

std::vector<std::pair<std::string, std::string>> parts_of(const Facts& facts, const std::string& setting,
                                                          const std::string& value) {
    if (setting == "spec_type" && value.starts_with(kDraft))
        return {{setting, "draft-simple"},
                {"draft_model", facts.draft_model},
                {"draft_tokens", value.substr(kDraft.size())}};
    std::vector<std::pair<std::string, std::string>> parts = {{setting, value}};
    if (facts.engine != "llama-server") return parts;
    // What is computed at once can't be more than what is taken in at once; and one measurement had both.
    for (const auto& [one, other] :
         {std::pair{"num_batch", "batch"}, std::pair{"threads", "threads_batch"}, std::pair{"kv_type_k", "kv_type_v"}})
        if (setting == one) parts.emplace_back(other, value);
    return parts;
}

std::string choice_words(const Choice& choice) {
    std::string text;
    for (const auto& [setting, value] : choice) text += (text.empty() ? "" : ", ") + setting + "=" + value;
    return text;
}

std::vector<std::string> words_of(const Facts& facts, const Choice& choice, bool environment) {
    std::vector<std::string> words;
    for (const auto& [chosen, taken] : choice) {
        for (const auto& [setting, value] : parts_of(facts, chosen, taken)) {
            const Knob* flag = knob_for(facts.engine, facts.version, "flag", setting);
            const Knob* option = knob_for(facts.engine, facts.version, "request", setting);
            const Knob* variable = knob_for(facts.engine, facts.version, "environment", setting);
            const bool by_variable =
                environment && variable != nullptr && facts.engine == "ollama" && !in_modelfile(facts, setting);
            if (facts.engine == "llama-server") {
                if (flag != nullptr) words.push_back(fmt::format("{}={}", flag->name, value));
            } else if (option != nullptr && !by_variable) {
                words.push_back(
                    fmt::format("{}={}", option->name == "flash_attention" ? "flash_attn" : option->name, value));
            } else if (variable != nullptr) {
                words.push_back(fmt::format("{}={}", variable->name, value));
            }
        }
    }
    return words;
}

std::vector<std::string> flags_to_copy(const std::vector<std::string>& words) {
    static const std::set<std::string_view> kOurs = {"-m",
                                                     "--model",
                                                     "--host",
                                                     "--port",
                                                     "--api-key",
                                                     "--api-key-file",
                                                     "--alias",
                                                     "-a",
                                                     "--log-file",
                                                     "--ssl-key-file",
                                                     "--ssl-cert-file",
                                                     "--api-prefix",
                                                     "-hf",
                                                     "-hfr",
                                                     "--hf-repo",
                                                     "-hff",
                                                     "--hf-file",
                                                     "-hft",
                                                     "--hf-token",
                                                     "-mu",
                                                     "--model-url",
                                                     "-dr",
                                                     "--docker-repo",
                                                     "--path"};
    std::vector<std::string> out;
    for (std::size_t i = 1; i < words.size(); ++i) {
        const std::string_view name = std::string_view(words[i]).substr(0, words[i].find('='));
        if (!kOurs.contains(name)) {
            out.push_back(words[i]);
        } else if (name.size() == words[i].size()) {
            ++i;  // its value
        }
    }
    return out;
}

Turn turn_of(Profile profile) {
    switch (profile) {
        case Profile::kChat: return {1024, 256};
        case Profile::kAgent: return {16384 * 0.2, 512};  // four fifths of the prompt are cached (optimize.md 5.1)
        case Profile::kRag: return {8192, 128};
        case Profile::kBatch: break;
    }
    return {512, 256};
}

std::function<std::optional<double>(const benchmark::Block&)> cost_of(Profile profile) {
    if (profile != Profile::kBatch)
        return [turn = turn_of(profile)](const benchmark::Block& block) { return turn_seconds(block, turn); };
    return [](const benchmark::Block& block) -> std::optional<double> {
        double tokens = 0.0;
        for (const RequestRecord& record : block.requests)
            tokens += static_cast<double>(record.server.output_tokens.value_or(0));
        if (tokens <= 0.0 || block.wall <= Ns{0}) return std::nullopt;
        return to_seconds(block.wall) / tokens;
    };
}

Plan tuned_plan(const Facts& facts, const SearchResult& result, bool environment, bool accept_tradeoffs) {
    Draft draft(facts);
    draft.plan = plan_frame(facts);
    draft.plan.measured = true;
    const bool wanted = result.end == SearchEnd::kImproved || (result.end == SearchEnd::kTradeoff && accept_tradeoffs);
    if (!wanted) {
        std::tie(draft.plan.outcome, draft.plan.settled) = outcome_of(result);
        return finish_plan(draft);
    }
    for (const auto& [setting, value] : result.best) {
        // As it was measured: options of requests hold for what a model's own parameters would be.
        const std::vector<std::string> channels =
            facts.engine == "ollama" && (!environment || in_modelfile(facts, setting))
                ? std::vector<std::string>{"modelfile", "request"}
                : std::vector<std::string>{"flag", "environment", "modelfile", "request"};
        std::vector<Change> changes;
        bool lossless = true;
        for (const auto& [part, taken] : parts_of(facts, setting, value)) {
            const auto change = change_of(draft, part, taken, channels);
            if (!change) continue;
            const Knob* knob = find_knob(facts.engine, facts.version, change->channel, change->knob);
            lossless = lossless && (knob == nullptr || knob->lossless);
            changes.push_back(*change);
        }
        if (changes.empty()) continue;
        const std::string now =
            changes.front().old_value.empty() ? "what the engine takes by itself" : changes.front().old_value;
        add(draft, {.rule = stage_of(setting),
                    .title = fmt::format("{} {} instead of {}, by measurement", setting, value, now),
                    .evidence = evidence_of(result, setting),
                    .changes = std::move(changes),
                    .advice = {},
                    .effects = draft.plan.findings.empty() ? effects_of(result) : std::vector<Effect>{},
                    .confidence = Confidence::kHigh,
                    .lossless = lossless,
                    .verify = {},
                    .undo = {}});
    }
    return finish_plan(draft);
}

}  // namespace velollm::optimize
