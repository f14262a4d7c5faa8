#include "report/speed_report.h"

#include <fmt/format.h>

#include <cmath>
#include <string_view>
#include <vector>

#include "report/facts.h"

namespace velollm::report {
namespace {

using model::Prediction;
using model::SpeedBasis;
using model::SpeedRange;

/// Three digits: a forecast knows no more.
std::string tps(double value) {
    return value < 10    ? fmt::format("{:.2f}", value)
           : value < 100 ? fmt::format("{:.1f}", value)
                         : fmt::format("{:.0f}", value);
}

std::string range_line(std::string_view what, const SpeedRange& range) {
    return fmt::format("  {:<12}{} .. {} tok/s, likely {}\n", what, tps(range.low), tps(range.high), tps(range.likely));
}

std::string reads(const Prediction& prediction) {
    const double gigabytes = static_cast<double>(prediction.traffic.total_bytes()) / 1e9;
    return fmt::format("{:.2f} GB are read for a token{}", gigabytes,
                       prediction.depth > 0 ? fmt::format(" behind {} others", prediction.depth) : "");
}

std::string measured_text(const model::ModelSpeed& measured, std::int64_t all_blocks) {
    std::string files = "the whole model";
    if (measured.blocks.size() > 1)
        files = fmt::format("files of {} and {} of {} blocks", measured.blocks[0], measured.blocks[1], all_blocks);
    std::string text = fmt::format("{}, {} rounds in turn, {:.0f} s", files, measured.rounds, measured.seconds);
    if (measured.decode.leverage > 0)
        text += fmt::format("; the line between them magnifies their error {:.1f} times", 1 + measured.decode.leverage);
    return text;
}

std::string basis_text(const Prediction& prediction) {
    const model::SpeedForecast& speed = prediction.speed;
    switch (speed.basis) {
        case SpeedBasis::kMeasuredHere: return "Measured here: " + speed.because;
        case SpeedBasis::kSameMachine: return "From other models: " + speed.because;
        case SpeedBasis::kFormula: break;
    }
    return "By formula: " + speed.because;
}

std::string ceiling_line(const Prediction& prediction) {
    const auto most = prediction.most_tps();
    if (!most) return "";
    const std::string from = prediction.bandwidth_measured ? "measured" : "theoretical";
    const std::string when = prediction.bandwidth_when.empty() ? "" : " " + prediction.bandwidth_when.substr(0, 10);
    std::string text = fmt::format("  {:<12}{} tok/s: {} at {:.1f} GB/s ({}{})", "ceiling", tps(*most),
                                   reads(prediction), *prediction.bandwidth_gbps, from, when);
    if (prediction.speed.roofline_share)
        text += fmt::format("; {:.0f} % of it are likely", 100 * *prediction.speed.roofline_share);
    if (prediction.partly_cached) text += "; a processor's cache that holds a part of so small a model may pass it";
    return text + "\n";
}

void write_range(base::JsonWriter& json, std::string_view key, const std::optional<SpeedRange>& range) {
    json.key(key);
    if (!range) {
        json.null();
        return;
    }
    json.begin_object();
    json.key("low_tps").value(range->low, 3).key("likely_tps").value(range->likely, 3);
    json.key("high_tps").value(range->high, 3);
    json.end_object();
}

void write_measured(base::JsonWriter& json, const std::optional<model::ModelSpeed>& measured) {
    json.key("measured");
    if (!measured) {
        json.null();
        return;
    }
    json.begin_object().key("blocks").begin_array();
    for (const std::int64_t blocks : measured->blocks) json.value(blocks);
    json.end_array();
    json.field("prefill_tokens", measured->prefill_tokens).field("rounds", measured->rounds);
    json.key("leverage").value(measured->decode.leverage, 3).key("seconds").value(measured->seconds, 1);
    json.end_object();
}

}  // namespace

std::string speed_text(const Prediction& prediction) {
    const model::SpeedForecast& speed = prediction.speed;
    if (!prediction.fits())
        return fmt::format("Speed: {}; what doesn't fit comes from the disk at each token.\n", reads(prediction));
    if (!speed.decode) {
        if (!prediction.bandwidth_missing.empty())
            return fmt::format("Speed: {}. How fast memory is read could not be measured: {}.\n", reads(prediction),
                               prediction.bandwidth_missing);
        if (prediction.on_gpu) return fmt::format("Speed: {}. The GPU's bandwidth is not known.\n", reads(prediction));
        return fmt::format(
            "Speed: {}. For a forecast add --bandwidth, which measures the memory for a second, or "
            "--measure, which times the model's shape for minutes.\n",
            reads(prediction));
    }
    std::string text = prediction.on_gpu ? "Speed on the GPU, four cases of five\n"
                                         : fmt::format("Speed with {} thread{}, four cases of five\n",
                                                       prediction.threads, prediction.threads == 1 ? "" : "s");
    text += range_line("decode", *speed.decode);
    if (speed.prefill) text += range_line("prefill", *speed.prefill);
    text += ceiling_line(prediction) + basis_text(prediction);
    if (prediction.measured)
        text += "; " + measured_text(*prediction.measured, static_cast<std::int64_t>(prediction.shape.blocks.size()));
    return text + ".\n";
}

std::string truth_text(const serde::PastPrediction& past, std::string_view model) {
    const bool inside = past.measured >= past.low && past.measured <= past.high;
    return fmt::format(
        "Decode speed of {} as predicted on {}: {} .. {} tok/s, likely {}. Measured, at that depth: {}{}.\n", model,
        past.when.substr(0, 10), tps(past.low), tps(past.high), tps(past.likely), tps(past.measured),
        inside ? "" : fmt::format(", {:+.0f} % beside the likely", 100 * (past.measured / past.likely - 1)));
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

    const model::SpeedForecast& speed = prediction.speed;
    json.key("speed").begin_object();
    json.field("engine", prediction.engine).field("threads", prediction.threads);
    json.field("basis", model::basis_name(speed.basis)).field("because", text_or_null(speed.because));
    json.field("missing", text_or_null(speed.missing));
    write_range(json, "decode", speed.decode);
    write_range(json, "prefill", speed.prefill);
    json.key("roofline_share");
    if (speed.roofline_share) {
        json.value(*speed.roofline_share, 3);
    } else {
        json.null();
    }
    write_measured(json, prediction.measured);
    json.end_object();
}

}  // namespace velollm::report
