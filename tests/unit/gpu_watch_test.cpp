#include "hardware/gpu_watch.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "support/temp_folder.h"

namespace velollm::hardware::gpu_watch_test {

/// Lines of `seconds` seconds, five a second, of a GPU at 300 W.
std::string lines(int seconds) {
    std::string text;
    for (int i = 0; i <= 5 * seconds; ++i)
        text += fmt::format(
            R"({{"t":{},"gpus":[{{"id":"pci:0000:01:00.0","busy":{},"mw":300000,"celsius":70,"mhz":2500,"mj":{},"reasons":{}}}]}})"
            "\n",
            200'000'000LL * i, 90 + i % 2 * 4, 60'000LL * i, i == 3 ? 0x40 : 0x4);
    return text;
}

TEST(GpuWatch, ReadsTheCourseOfAGpu) {
    const auto gpus = read_gpu_watch(lines(10));
    ASSERT_EQ(gpus.size(), 1u);
    EXPECT_EQ(gpus[0].id, "pci:0000:01:00.0");
    EXPECT_EQ(gpus[0].busy_percent->min, 90.0);
    EXPECT_EQ(gpus[0].busy_percent->max, 94.0);
    EXPECT_EQ(gpus[0].watts->mean, 300.0);
    EXPECT_EQ(gpus[0].celsius->max, 70.0);
    EXPECT_EQ(gpus[0].core_mhz->min, 2500.0);
    ASSERT_TRUE(gpus[0].energy);
    EXPECT_DOUBLE_EQ(gpus[0].energy->joules, 3000.0);
    EXPECT_DOUBLE_EQ(gpus[0].energy->error_joules, 60.0);
    EXPECT_DOUBLE_EQ(*gpus[0].slowed_share, 1.0 / 51.0);
}

TEST(GpuWatch, EnergyOfAShortRunIsRefused) {
    const auto gpus = read_gpu_watch(lines(9));
    ASSERT_EQ(gpus.size(), 1u);
    EXPECT_TRUE(gpus[0].watts);
    EXPECT_FALSE(gpus[0].energy);
}

TEST(GpuWatch, ALineThatIsNotWholeIsLeftOut) {
    std::string text = lines(10);
    const auto gpus = read_gpu_watch(text + R"({"t":99000000000,"gpus":[{"id":"x","busy":1)");
    ASSERT_EQ(gpus.size(), 1u);
    EXPECT_EQ(gpus[0].busy_percent->min, 90.0);
    EXPECT_TRUE(read_gpu_watch("").empty());
    EXPECT_TRUE(read_gpu_watch("Segmentation fault\n").empty());
}

TEST(GpuWatch, BelievesNoAbsurdValue) {
    const std::string line =
        R"({"t":1,"gpus":[{"busy":101,"mw":4294967295,"celsius":4294967295,"mhz":4294967295,"mj":-3}]})";
    const auto gpus = read_gpu_watch(line + "\n" + line + "\n");
    ASSERT_EQ(gpus.size(), 1u);
    EXPECT_EQ(gpus[0].id, "nvml:0");
    EXPECT_FALSE(gpus[0].busy_percent || gpus[0].watts || gpus[0].celsius || gpus[0].core_mhz || gpus[0].energy ||
                 gpus[0].slowed_share);
}

TEST(GpuWatch, IsNotStartedWithoutNeed) {
    const test::TempFolder folder;
    const system::System no_driver{.root = folder.path(), .env = {}, .gpu_watcher = "/bin/true"};
    EXPECT_FALSE(GpuWatch::start(no_driver));
    folder.write("proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  560.35.03\n");
    EXPECT_TRUE(GpuWatch::start(no_driver));
    EXPECT_FALSE(GpuWatch::start({.root = folder.path(), .env = {}}));
}

}  // namespace velollm::hardware::gpu_watch_test
