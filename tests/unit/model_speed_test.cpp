#include "model/speed.h"

#include <gtest/gtest.h>

#include "gguf/tensor_types.h"
#include "model/calibration_file.h"
#include "model/catalogue.h"
#include "model/traffic.h"

namespace velollm::model::speed_test {

ModelShape named(const char* name) {
    auto shape = named_shape(name);
    EXPECT_TRUE(shape) << name;
    return *shape;
}

std::int64_t bytes(const ModelShape& shape, std::int64_t depth = 0) {
    return decode_traffic(shape, depth, gguf::types::kF16, gguf::types::kF16).total_bytes();
}

/// A run at 20 GB/s and 50 us a block.
serde::SpeedRun run_of(const ModelShape& shape, const char* source = "benchmark") {
    serde::SpeedRun run{.machine = "here", .source = source, .engine = "embedded", .threads = 2};
    run.model = shape.name;
    run.quantization = shape.quantization;
    run.key = shape_key(shape);
    run.blocks = static_cast<std::int64_t>(shape.blocks.size());
    run.experts = shape.experts > 0;
    run.decode_bytes = bytes(shape);
    run.decode_tps = 1 / (static_cast<double>(run.blocks) * 50e-6 + static_cast<double>(run.decode_bytes) / 20e9);
    run.decode_low = 0.9 * run.decode_tps;
    run.decode_high = 1.2 * run.decode_tps;
    run.prefill_flops = prefill_flops(shape, 0);
    run.prefill_tps = 100e9 / run.prefill_flops;
    return run;
}

SpeedGrounds grounds_with(std::vector<serde::SpeedRun> runs) {
    SpeedGrounds grounds{.machine = "here", .threads = 2, .read_gbps = 40.0};
    grounds.calibration.runs = std::move(runs);
    return grounds;
}

TEST(PrefillFlops, AreTwoForEachWeightThatIsUsed) {
    const ModelShape llama = named("llama3.1:8b");
    // 8.03 billion weights, without twice 128256 rows of 4096.
    EXPECT_NEAR(prefill_flops(llama, 0), 2 * (8.030e9 - 2 * 128256.0 * 4096), 0.01e9);
    // 32 blocks, 32 heads of 128 + 128, two operations each, 1000 tokens.
    EXPECT_DOUBLE_EQ(prefill_flops(llama, 1000) - prefill_flops(llama, 0), 2.0 * 32 * 32 * 256 * 1000);
    EXPECT_NEAR(prefill_flops(named("qwen3:30b-a3b"), 0), 2 * 3.0e9, 0.6e9);  // 3 of 30 billion are active
}

TEST(ShapeKey, IsTheSameForTheSameTensorsAlone) {
    EXPECT_EQ(shape_key(named("llama3.2:1b")), shape_key(named("llama3.2:1b")));
    EXPECT_NE(shape_key(named("llama3.2:1b")), shape_key(*named_shape("llama3.2:1b", "Q8_0")));
    EXPECT_NE(shape_key(named("llama3.2:1b")), shape_key(named("llama3.2:3b")));
    ModelShape turned = named("llama3.2:1b");
    std::reverse(turned.tensors.begin(), turned.tensors.end());
    EXPECT_EQ(shape_key(turned), shape_key(named("llama3.2:1b")));
}

TEST(Forecast, WithoutAnythingSaysWhatIsMissing) {
    const SpeedForecast none = forecast(named("llama3.2:1b"), 0, 800'000'000, {});
    EXPECT_FALSE(none.decode);
    EXPECT_EQ(none.missing, "the bandwidth of the memory is not known");
}

TEST(Forecast, ByFormulaIsAWideRangeBelowTheCeiling) {
    const ModelShape shape = named("llama3.2:1b");
    const SpeedForecast speed = forecast(shape, 0, bytes(shape), grounds_with({}));
    EXPECT_EQ(speed.basis, SpeedBasis::kFormula);
    ASSERT_TRUE(speed.decode);
    const double ceiling = 40e9 / static_cast<double>(bytes(shape));
    EXPECT_NEAR(speed.decode->high, 0.95 * ceiling, 1e-6);
    EXPECT_NEAR(1 / speed.decode->likely, 16 * 60e-6 + 1 / (0.6 * ceiling), 1e-9);
    EXPECT_NEAR(1 / speed.decode->low, 16 * 120e-6 + 1 / (0.35 * ceiling), 1e-9);
    EXPECT_FALSE(speed.prefill);
    SpeedGrounds known = grounds_with({});
    known.fp32_gflops = 200.0;
    const SpeedForecast both = forecast(shape, 0, bytes(shape), known);
    ASSERT_TRUE(both.prefill);
    EXPECT_NEAR(both.prefill->likely, 0.6 * 200e9 / prefill_flops(shape, 0), 1e-6);
}

TEST(Forecast, OneRunOfAnotherModelScalesByWhatIsRead) {
    const ModelShape small = named("llama3.2:1b");
    const ModelShape large = named("llama3.1:8b");
    const SpeedForecast speed = forecast(large, 0, bytes(large), grounds_with({run_of(small)}));
    EXPECT_EQ(speed.basis, SpeedBasis::kSameMachine);
    EXPECT_EQ(speed.because, "1 run of 1 other model here");
    const double truth = run_of(large).decode_tps;
    EXPECT_NEAR(speed.decode->likely, truth, 0.05 * truth);
    EXPECT_NEAR(speed.decode->low, speed.decode->likely / 1.4, 1e-9);
    EXPECT_NEAR(speed.prefill->likely, 100e9 / prefill_flops(large, 0), 1e-6);
}

TEST(Forecast, RunsOfSeveralModelsGiveBothConstants) {
    const auto runs = {run_of(named("smollm2:135m")), run_of(named("llama3.2:1b")), run_of(named("llama3.2:3b"))};
    const ModelShape shape = named("qwen3:8b");
    const SpeedForecast speed = forecast(shape, 0, bytes(shape), grounds_with(runs));
    EXPECT_NEAR(speed.decode->likely, run_of(shape).decode_tps, 1e-6);
    EXPECT_NEAR(speed.decode->high, 1.2 * speed.decode->likely, 1e-6);
    const ModelShape experts = named("qwen3:30b-a3b");  // of a kind that never ran here
    const SpeedForecast wide = forecast(experts, 0, bytes(experts), grounds_with(runs));
    EXPECT_NEAR(wide.decode->likely, 0.85 * run_of(experts).decode_tps, 1e-6);
    EXPECT_LT(wide.decode->low, wide.decode->likely / 1.4);
}

TEST(Forecast, RunsElsewhereAndWithOtherThreadsOrEnginesDontCount) {
    const ModelShape shape = named("llama3.2:1b");
    for (auto change :
         {+[](serde::SpeedRun& run) { run.machine = "there"; }, +[](serde::SpeedRun& run) { run.threads = 1; },
          +[](serde::SpeedRun& run) { run.on_gpu = true; }, +[](serde::SpeedRun& run) { run.engine = "ollama"; }}) {
        serde::SpeedRun run = run_of(shape);
        change(run);
        EXPECT_EQ(forecast(shape, 0, bytes(shape), grounds_with({run})).basis, SpeedBasis::kFormula);
    }
}

TEST(Forecast, ThisModelsOwnRunsComeFirst) {
    const ModelShape shape = named("llama3.2:1b");
    const serde::SpeedRun run = run_of(shape);
    const SpeedForecast speed = forecast(shape, 0, bytes(shape), grounds_with({run_of(named("llama3.2:3b")), run}));
    EXPECT_EQ(speed.basis, SpeedBasis::kMeasuredHere);
    EXPECT_DOUBLE_EQ(speed.decode->likely, run.decode_tps);
    EXPECT_DOUBLE_EQ(speed.decode->low, 0.9 * run.decode_tps);
    EXPECT_DOUBLE_EQ(speed.decode->high, 1.2 * run.decode_tps);
    EXPECT_NEAR(*speed.roofline_share, run.decode_tps * static_cast<double>(bytes(shape)) / 40e9, 1e-9);
    // Behind 32768 tokens a token reads more than twice as much.
    const SpeedForecast deep = forecast(shape, 32768, bytes(shape, 32768), grounds_with({run}));
    EXPECT_NEAR(deep.decode->likely,
                run.decode_tps * static_cast<double>(bytes(shape)) / static_cast<double>(bytes(shape, 32768)), 1e-9);
}

TEST(Forecast, ABenchmarkSaysMoreThanAFileOfNoise) {
    const ModelShape shape = named("llama3.2:1b");
    serde::SpeedRun noise = run_of(shape, "synthetic");
    noise.decode_tps *= 1.3;
    const SpeedForecast alone = forecast(shape, 0, bytes(shape), grounds_with({noise}));
    EXPECT_TRUE(alone.synthetic);
    EXPECT_DOUBLE_EQ(alone.decode->likely, noise.decode_tps);
    const SpeedForecast both = forecast(shape, 0, bytes(shape), grounds_with({run_of(shape), noise}));
    EXPECT_FALSE(both.synthetic);
    EXPECT_DOUBLE_EQ(both.decode->likely, run_of(shape).decode_tps);
}

TEST(Forecast, BenchmarksCorrectFilesOfNoise) {
    const ModelShape shape = named("llama3.2:1b");
    SpeedGrounds grounds = grounds_with({run_of(shape, "synthetic")});
    const double before = forecast(shape, 0, bytes(shape), grounds).decode->likely;
    for (const double measured : {80.0, 90.0, 0.0})  // the last was never run
        grounds.calibration.predictions.push_back({.machine = "here",
                                                   .engine = "embedded",
                                                   .basis = std::string(basis_name(SpeedBasis::kMeasuredHere)),
                                                   .likely = 100,
                                                   .measured = measured});
    EXPECT_NEAR(forecast(shape, 0, bytes(shape), grounds).decode->likely, 0.85 * before, 1e-9);
}

TEST(Calibration, APredictionMeetsItsTruthOnce) {
    const ModelShape shape = named("llama3.2:1b");
    serde::Calibration calibration;
    serde::PastPrediction past{.machine = "here", .engine = "embedded", .key = shape_key(shape), .basis = "formula"};
    past.threads = 2;
    past.decode_bytes = bytes(shape);
    past.likely = 30;
    put_prediction(calibration, past);
    past.likely = 31;  // asked again: the newer one takes its place
    put_prediction(calibration, past);
    ASSERT_EQ(calibration.predictions.size(), 1U);

    EXPECT_FALSE(put_run(calibration, run_of(shape, "synthetic")));  // no truth
    serde::SpeedRun run = run_of(shape);
    run.decode_bytes *= 2;  // at a depth where twice as much is read
    const auto met = put_run(calibration, run);
    ASSERT_TRUE(met);
    EXPECT_DOUBLE_EQ(met->likely, 31);
    EXPECT_DOUBLE_EQ(met->measured, 2 * run.decode_tps);
    EXPECT_FALSE(put_run(calibration, run));
    EXPECT_EQ(calibration.runs.size(), 3U);
    put_prediction(calibration, past);  // what has its truth stays
    EXPECT_EQ(calibration.predictions.size(), 2U);
}

TEST(Calibration, IsReadAsItWasWritten) {
    serde::Calibration calibration;
    calibration.runs = {run_of(named("llama3.2:1b"))};
    calibration.predictions = {{.when = "2026-11-24T10:00:00Z", .machine = "here", .likely = 0.1, .measured = 3}};
    put_rates(calibration, {.machine = "here", .threads = 2, .read_gbps = 41.5});
    put_rates(calibration, {.machine = "here", .threads = 2, .read_gbps = 42.5});
    const auto again = serde::read_calibration(serde::write_calibration(calibration), "calibration.json");
    ASSERT_TRUE(again);
    EXPECT_EQ(again->runs, calibration.runs);
    EXPECT_EQ(again->predictions, calibration.predictions);
    ASSERT_EQ(again->rates.size(), 1U);
    EXPECT_EQ(again->rates[0].read_gbps, 42.5);
    EXPECT_EQ(rates_of(*again, "there"), nullptr);
}

TEST(Calibration, ThatIsBrokenIsSaidToBe) {
    for (const char* text : {"", "{", "[]", "{\"schema\":\"velollm-calibration-9\"}",
                             R"({"schema":"velollm-calibration-1","runs":[{"decode_tps":0}]})",
                             R"({"schema":"velollm-calibration-1","runs":[{"decode_tps":"fast"}]})",
                             R"({"schema":"velollm-calibration-1","rates":7})"}) {
        const auto read = serde::read_calibration(text, "calibration.json");
        ASSERT_FALSE(read) << text;
        EXPECT_EQ(read.error().message.find("calibration.json can't be used: "), 0U) << text;
    }
}

}  // namespace velollm::model::speed_test
