#include "report/selftest_report.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/json_writer.h"
#include "wire/json_reader.h"

namespace velollm::report {
namespace {

using base::JsonWriter;
using benchmark::ErrorSpread;
using benchmark::SelfTestLoad;
using benchmark::SelfTestStreams;

constexpr std::string_view kSchema = "velollm.selftest/1.0";
constexpr int kDecimals = 4;
constexpr Ns kNoisyP99 = std::chrono::milliseconds(1);
constexpr Ns kNoisyMax = std::chrono::milliseconds(5);
constexpr double kTtftBiasMs = 0.5;
constexpr double kGapBiasMs = 0.05;
constexpr double kSpeedBiasPercent = 0.1;

void write_load(JsonWriter& json, const SelfTestLoad& load, std::int64_t answered) {
    json.field("streams", load.streams).field("requests", load.requests).field("answered", answered);
    json.field("ttft_ms", load.ttft_ms, 1).field("gap_ms", load.gap_ms, 1).field("tokens", load.tokens);
}

void write_spread(JsonWriter& json, std::string_view key, const ErrorSpread& spread) {
    json.key(key).begin_object().field("n", std::uint64_t{spread.n}).field("median", spread.median, kDecimals);
    json.field_if("abs_p95", spread.p95, kDecimals).field_if("abs_p99", spread.p99, kDecimals);
    json.field("abs_max", spread.max, kDecimals).end_object();
}

void write_streams(JsonWriter& json, std::string_view key, const SelfTestStreams& streams) {
    json.key(key).begin_object();
    write_load(json, streams.load, streams.answered);
    write_spread(json, "ttft_error_ms", streams.ttft_ms);
    write_spread(json, "gap_error_ms", streams.gap_ms);
    write_spread(json, "decode_speed_error_percent", streams.decode_speed_percent);
    json.field_if("cpu_share", streams.cpu_share, 5);
    json.end_object();
}

std::string streams_text(const SelfTestStreams& streams) {
    const SelfTestLoad& load = streams.load;
    std::string text = fmt::format("{} at {:.0f} tok/s, {} requests of {} tokens:\n",
                                   load.streams == 1 ? "One stream" : fmt::format("{} streams", load.streams),
                                   1000.0 / load.gap_ms, load.requests, load.tokens);
    if (streams.answered < load.requests) text += fmt::format("  Only {} of them arrived whole\n", streams.answered);
    if (streams.answered == 0) return text + "\n";
    const auto line = [&](const char* label, const ErrorSpread& spread, const char* unit) {
        text += fmt::format("  {:<14} {:+.3f}{} median", label, spread.median, unit);
        if (spread.p99) {
            text += fmt::format(", {:.3f}{} at p99", *spread.p99, unit);
        } else if (spread.p95) {
            text += fmt::format(", {:.3f}{} at p95", *spread.p95, unit);
        }
        text += fmt::format(", {:.3f}{} at worst\n", spread.max, unit);
    };
    line("TTFT", streams.ttft_ms, " ms");
    line("Chunk gap", streams.gap_ms, " ms");
    line("Decode speed", streams.decode_speed_percent, "%");
    if (streams.cpu_share) text += fmt::format("  {:<14} {:.2f}% of a core\n", "Own CPU", 100.0 * *streams.cpu_share);
    return text + "\n";
}

}  // namespace

bool too_noisy(const Hiccups& hiccups) {
    return hiccups.p99 >= kNoisyP99 || hiccups.max >= kNoisyMax;
}

bool trustworthy(const benchmark::SelfTest& test) {
    const SelfTestStreams& one = test.one;
    return one.answered == one.load.requests && test.many.answered == test.many.load.requests &&
           test.full.answered == test.full.load.requests && std::abs(one.ttft_ms.median) <= kTtftBiasMs &&
           std::abs(one.gap_ms.median) <= kGapBiasMs && std::abs(one.decode_speed_percent.median) <= kSpeedBiasPercent;
}

std::string selftest_json(const benchmark::SelfTest& test, const SelfTestOrigin& origin, int indent) {
    JsonWriter json(indent);
    json.begin_object().field("schema", kSchema).field("at", origin.at);
    json.key("tool").begin_object().field("name", "velollm").field("version", origin.tool_version);
    if (!origin.tool_commit.empty()) json.field("commit", origin.tool_commit);
    json.end_object();
    json.field("hardware_key", origin.hardware_key);
    json.field("trustworthy", trustworthy(test)).field("too_noisy", too_noisy(test.hiccups));
    write_streams(json, "one_stream", test.one);
    write_streams(json, "many_streams", test.many);
    json.key("full_speed").begin_object();
    write_load(json, test.full.load, test.full.answered);
    json.field("events", test.full.events).field("events_per_second", test.full.events_per_second, 0);
    json.field("cpu_us_per_event", test.full.cpu_us_per_event, kDecimals).end_object();
    json.key("machine").begin_object().field("hiccup_p50_ms", to_ms(test.hiccups.p50), kDecimals);
    json.field("hiccup_p99_ms", to_ms(test.hiccups.p99), kDecimals);
    json.field("hiccup_max_ms", to_ms(test.hiccups.max), kDecimals).end_object();
    json.field("peak_memory_bytes", test.peak_memory_bytes);
    return json.end_object().text();
}

std::string selftest_text(const benchmark::SelfTest& test) {
    std::string text = "What this program says, minus what a scripted server of its own really sent:\n\n";
    text += streams_text(test.one) + streams_text(test.many);
    text += fmt::format("Full speed, {} connections:\n", test.full.load.streams);
    text += fmt::format("  {:<14} {:.2f} million a second, {:.2f} us of own CPU each\n", "Events",
                        test.full.events_per_second / 1e6, test.full.cpu_us_per_event);
    if (test.full.answered < test.full.load.requests)
        text += fmt::format("  Only {} of {} answers arrived whole\n", test.full.answered, test.full.load.requests);
    text += fmt::format("\nThe machine meanwhile: a nap of 10 ms ended {:.2f} ms late at p99, {:.2f} ms at worst.\n",
                        to_ms(test.hiccups.p99), to_ms(test.hiccups.max));
    if (too_noisy(test.hiccups)) {
        text += "It was busy: part of these errors is its own. Close other programs and run this again.\n";
    } else if (trustworthy(test)) {
        text += fmt::format(
            "Differences of TTFT above {:.1f} ms and of decode speed above {:.2f}% are not this program's doing.\n",
            std::ceil(test.one.ttft_ms.max * 10.0) / 10.0,
            std::ceil(test.one.decode_speed_percent.max * 100.0) / 100.0);
    }
    if (!trustworthy(test))
        text += "The errors are larger than promised (docs/conformance.md): don't trust small differences.\n";
    return text;
}

std::string selftest_within(std::string_view document) {
    wire::JsonReader json;
    if (!json.parse(document) || json.text("/schema") != kSchema) return "";
    return json.json("").value_or("");
}

std::string selftest_line(std::string_view document) {
    wire::JsonReader json;
    if (document.empty() || !json.parse(document)) return "none: velollm selftest";
    return fmt::format("{}, TTFT {:+.3f} ms, decode speed {:+.3f}%{}", json.text("/at").value_or("").substr(0, 10),
                       json.number("/one_stream/ttft_error_ms/median").value_or(0.0),
                       json.number("/one_stream/decode_speed_error_percent/median").value_or(0.0),
                       json.boolean("/too_noisy").value_or(false) ? ", on a busy machine" : "");
}

}  // namespace velollm::report
