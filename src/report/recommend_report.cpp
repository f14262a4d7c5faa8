#include "report/recommend_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/json_writer.h"
#include "base/text.h"
#include "gguf/tensor_types.h"
#include "report/facts.h"

namespace velollm::report {
namespace {

using model::Candidate;
using model::Recommendation;
using model::Refusal;

std::string cache_type(std::uint32_t number) {
    const gguf::TensorType* type = gguf::tensor_type(number);
    return type == nullptr ? "unknown" : base::lower(type->name);
}

std::string basis_words(model::SpeedBasis basis) {
    switch (basis) {
        case model::SpeedBasis::kMeasuredHere: return "measured here";
        case model::SpeedBasis::kSameHardware: return "from other models here";
        case model::SpeedBasis::kFormula: break;
    }
    return "by formula";
}

std::string billions(double parameters) {
    const double value = parameters / 1e9;
    return fmt::format("{:.{}f}B", value, value < 10 ? 1 : 0);
}

std::string size_text(const Candidate& candidate) {
    const std::string all = billions(candidate.parameters) + " parameters";
    if (candidate.active_parameters > 0.9 * candidate.parameters) return all;
    return fmt::format("{}, {} of them a token", all, billions(candidate.active_parameters));
}

std::string name_text(const Candidate& candidate) {
    std::string text = candidate.model;
    if (!candidate.quantization.empty()) text += " " + candidate.quantization;
    return candidate.here ? text + " (here)" : text;
}

std::string range_text(const Candidate& candidate) {
    const auto& decode = candidate.speed.decode;
    if (!decode) return "speed not known";
    return fmt::format("{} .. {} tok/s, likely {}", tps_text(decode->low), tps_text(decode->high),
                       tps_text(decode->likely));
}

std::string place_text(const Candidate& candidate, const Recommendation& answer) {
    if (!answer.gpu_limit_bytes) return "";
    return candidate.on_gpu ? " of the GPU" : " of RAM";
}

std::string pick_lines(std::string_view kind, std::string_view why, const Candidate& candidate,
                       const Recommendation& answer) {
    std::string text = fmt::format("{:<13} {}: {}\n", kind, name_text(candidate), why);
    text +=
        fmt::format("{:<13} {}, {}{}, context up to {}\n", "", size_text(candidate), gib_text(candidate.needed_bytes),
                    place_text(candidate, answer), candidate.largest_context.value_or(0));
    if (!candidate.speed.decode)
        return text + fmt::format("{:<13} {:.2f} GB are read for a token\n", "",
                                  static_cast<double>(candidate.bytes_per_token) / 1e9);
    return text + fmt::format("{:<13} {} ({}: {})\n", "", range_text(candidate), basis_words(candidate.speed.basis),
                              candidate.speed.because);
}

std::string reason(const Candidate& candidate, const Recommendation& answer) {
    switch (candidate.refusal) {
        case Refusal::kNone: break;
        case Refusal::kMemory:
            return fmt::format("needs {}, {} may be taken", gib_text(candidate.needed_bytes),
                               gib_text(candidate.limit_bytes));
        case Refusal::kContext: return fmt::format("was trained for {} tokens", candidate.trained_context);
        case Refusal::kSpeed:
            return fmt::format("fits; {}, and {:g} are wanted", range_text(candidate), answer.least_tps);
        case Refusal::kArchitecture: return "is of a kind that the formulas don't know";
    }
    return "fits";
}

std::string machine_lines(const Recommendation& answer, const RecommendNotes& notes) {
    std::string text = "May be taken: ";
    if (answer.gpu_limit_bytes) {
        text += fmt::format("{} of {}", gib_text(*answer.gpu_limit_bytes), answer.gpu_name);
        if (answer.gpu_gbps) text += fmt::format(" ({:.0f} GB/s, theoretical)", *answer.gpu_gbps);
        text += "; ";
    }
    text += gib_text(answer.host_limit_bytes) + " of memory";
    if (answer.host_gbps)
        text += fmt::format(" ({:.1f} GB/s, measured{}{})", *answer.host_gbps, notes.bandwidth_when.empty() ? "" : " ",
                            notes.bandwidth_when.substr(0, 10));
    return text + fmt::format("\nWanted: a context of {} tokens in {}, at least {:g} tok/s\n", answer.context_tokens,
                              cache_type(answer.cache_type), answer.least_tps);
}

std::string pick_text(const Recommendation& answer) {
    const model::Picks& picks = answer.picks;
    if (!picks.best)
        return fmt::format("Nothing that is known fits. Try{} a smaller --min-ctx, or --kv-type q8_0.\n",
                           answer.least_asked ? " a smaller --min-speed," : "");
    std::string text = pick_lines(
        "Best answers",
        picks.best->speed.decode ? "the largest and newest that is fast enough" : "the largest and newest that fits",
        *picks.best, answer);
    if (picks.balanced) text += pick_lines("Balanced", "at least twice as fast", *picks.balanced, answer);
    if (picks.fast) text += pick_lines("Fast", "at least four times as fast", *picks.fast, answer);
    return text;
}

std::string refused_line(const Candidate& candidate, const Recommendation& answer) {
    return fmt::format("  {:<32} {}\n", name_text(candidate), reason(candidate, answer));
}

std::string all_text(const Recommendation& answer) {
    std::string text = fmt::format("\n{} that fit, each in its finest quantisation, best answers first\n",
                                   count_text(static_cast<int>(answer.fitting.size()), "model"));
    for (const Candidate& candidate : answer.fitting)
        text += fmt::format("  {:<32} {:>9}{}, context up to {}, {}\n", name_text(candidate),
                            gib_text(candidate.needed_bytes), place_text(candidate, answer),
                            candidate.largest_context.value_or(0), range_text(candidate));
    text += fmt::format("\n{} refused, each in the quantisation that came nearest\n",
                        count_text(static_cast<int>(answer.refused.size()), "model"));
    for (const Candidate& candidate : answer.refused) text += refused_line(candidate, answer);
    return text;
}

/// Those refused that somebody may ask about: the best of the too slow ones and of those that are not out of all reach.
std::vector<const Candidate*> asked_about(const Recommendation& answer) {
    constexpr int kOfEach = 2;
    std::vector<const Candidate*> shown;
    int slow = 0;
    int large = 0;
    for (const Candidate& candidate : answer.refused) {
        const bool in_reach = candidate.needed_bytes / 4 <= candidate.limit_bytes;
        if ((candidate.refusal == Refusal::kSpeed && slow++ < kOfEach) ||
            (candidate.refusal == Refusal::kMemory && in_reach && large++ < kOfEach))
            shown.push_back(&candidate);
    }
    if (shown.empty() && !answer.refused.empty()) shown.push_back(&answer.refused.front());
    return shown;
}

/// How many there are, and what stood in the way of the best.
std::string rest_text(const Recommendation& answer) {
    if (answer.refused.empty()) return fmt::format("\nAll {} known models fit.\n", answer.fitting.size());
    std::string text = fmt::format("\n{} of {} known models fit. Refused:\n", answer.fitting.size(),
                                   answer.fitting.size() + answer.refused.size());
    const auto shown = asked_about(answer);
    for (const Candidate* candidate : shown) text += refused_line(*candidate, answer);
    if (answer.refused.size() > shown.size())
        text += fmt::format("  and {} more; --all shows them\n", answer.refused.size() - shown.size());
    return text;
}

std::vector<std::string> note_sentences(const Recommendation& answer, const RecommendNotes& notes) {
    std::vector<std::string> sentences{"What answers best is a guess from size and age; no model was asked anything"};
    if (!notes.bandwidth_missing.empty())
        sentences.push_back("How fast memory is read could not be measured: " + notes.bandwidth_missing);
    else if (answer.gpu_limit_bytes && !answer.gpu_gbps)
        sentences.push_back("The GPU's bandwidth is not known, so there is no speed on it");
    else if (!answer.host_gbps && !answer.gpu_limit_bytes)
        sentences.push_back("How fast memory is read is not known; --bandwidth measures it in a second or two");
    if (!notes.calibration.empty()) sentences.push_back(notes.calibration);
    return sentences;
}

void write_range(base::JsonWriter& json, const std::optional<model::SpeedRange>& range) {
    json.key("decode");
    if (!range) {
        json.null();
        return;
    }
    json.begin_object().field("low_tps", range->low, 3).field("likely_tps", range->likely, 3);
    json.field("high_tps", range->high, 3).end_object();
}

void write_candidate(base::JsonWriter& json, const Candidate& candidate, const Recommendation& answer) {
    json.begin_object().field("model", candidate.model).field("quantization", text_or_null(candidate.quantization));
    json.field("here", candidate.here).field("released", text_or_null(candidate.released));
    json.field("parameters", candidate.parameters, 0).field("active_parameters", candidate.active_parameters, 0);
    json.field("on_gpu", candidate.on_gpu).field("needed_bytes", candidate.needed_bytes);
    json.field("limit_bytes", candidate.limit_bytes).field("trained_context", candidate.trained_context);
    json.field("largest_context", candidate.largest_context).field("bytes_per_token", candidate.bytes_per_token);
    json.key("speed").begin_object().field("basis", model::basis_name(candidate.speed.basis));
    json.field("because", text_or_null(candidate.speed.because));
    json.field("missing", text_or_null(candidate.speed.missing));
    write_range(json, candidate.speed.decode);
    json.end_object();
    json.field("rank", candidate.rank, 3).field("refusal", model::refusal_name(candidate.refusal));
    json.key("reason");
    if (candidate.refusal == Refusal::kNone) {
        json.null();
    } else {
        json.value(reason(candidate, answer));
    }
    json.end_object();
}

void write_pick(base::JsonWriter& json, std::string_view key, const std::optional<Candidate>& pick,
                const Recommendation& answer) {
    json.key(key);
    if (pick) {
        write_candidate(json, *pick, answer);
    } else {
        json.null();
    }
}

void write_list(base::JsonWriter& json, std::string_view key, const std::vector<Candidate>& list,
                const Recommendation& answer) {
    json.key(key).begin_array();
    for (const Candidate& candidate : list) write_candidate(json, candidate, answer);
    json.end_array();
}

void write_rate(base::JsonWriter& json, std::string_view key, const std::optional<double>& gbps) {
    json.key(key);
    if (gbps) {
        json.value(*gbps, 1);
    } else {
        json.null();
    }
}

}  // namespace

std::string recommendation_json(const Recommendation& answer, const RecommendNotes& notes, int indent) {
    base::JsonWriter json(indent);
    json.begin_object().field("schema", "velollm-recommendation-1");
    json.key("wanted").begin_object().field("context", answer.context_tokens);
    json.field("cache_type", cache_type(answer.cache_type)).field("least_tps", answer.least_tps, 3);
    json.field("engine", answer.engine).end_object();
    json.key("machine").begin_object().field("gpu", text_or_null(answer.gpu_name));
    json.field("gpu_limit_bytes", answer.gpu_limit_bytes);
    write_rate(json, "gpu_theoretical_gbps", answer.gpu_gbps);
    json.field("host_limit_bytes", answer.host_limit_bytes);
    write_rate(json, "host_measured_gbps", answer.host_gbps);
    json.field("threads", answer.threads).end_object();
    json.key("picks").begin_object();
    write_pick(json, "best", answer.picks.best, answer);
    write_pick(json, "balanced", answer.picks.balanced, answer);
    write_pick(json, "fast", answer.picks.fast, answer);
    json.end_object();
    write_list(json, "fitting", answer.fitting, answer);
    write_list(json, "refused", answer.refused, answer);
    json.key("notes").begin_array();
    for (const std::string& note : note_sentences(answer, notes)) json.value(note);
    json.end_array();
    json.end_object();
    return json.text();
}

std::string recommendation_text(const Recommendation& answer, const RecommendNotes& notes, bool all) {
    std::string text = machine_lines(answer, notes);
    if (!answer.host_gbps && !answer.gpu_limit_bytes && notes.bandwidth_missing.empty())
        text += "Nothing is known of speed: what fits may be very slow. Better: velollm recommend --bandwidth\n";
    text += "\n" + pick_text(answer);
    text += all ? all_text(answer) : rest_text(answer);
    text += "\n";
    for (const std::string& note : note_sentences(answer, notes)) text += fmt::format("Note: {}.\n", note);
    if (const auto& best = answer.picks.best)
        text += fmt::format("More on one of them: velollm {}\n",
                            best->here ? "benchmark -m " + best->model
                                       : fmt::format("predict {} --quantization {}", best->model, best->quantization));
    return text;
}

}  // namespace velollm::report
