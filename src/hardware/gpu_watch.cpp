#include "hardware/gpu_watch.h"

#include <dlfcn.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <utility>

#include "base/json_writer.h"
#include "base/text.h"
#include "hardware/files.h"
#include "hardware/nvml_abi.h"
#include "hardware/sensors.h"
#include "wire/json_reader.h"

namespace velollm::hardware {
namespace {

constexpr Ns kPeriod = std::chrono::milliseconds(200);
constexpr unsigned kMostGpus = 64;
constexpr std::size_t kMostBytes = std::size_t{64} << 20U;  // days of eight GPUs
/// Slowed down by the hardware (0x8), for heat (0x20, 0x40) or by a power brake (0x80). A software power cap (0x4) is
/// how every GPU runs under full load (nvml.h, nvmlClocksEventReason*).
constexpr std::int64_t kSlowedDown = 0x8 | 0x20 | 0x40 | 0x80;

struct Utilization {
    unsigned gpu;
    unsigned memory;
};
using DeviceWide = int (*)(nvml::Device, unsigned long long*);
using DeviceUtilization = int (*)(nvml::Device, Utilization*);
using DeviceTemperature = int (*)(nvml::Device, int, unsigned*);

std::string library_name(const system::System& system) {
    return system.variable("VELOLLM_NVML").value_or("libnvidia-ml.so.1");
}

/// The functions that tell of a GPU's state, where the library has them.
struct StateFunctions {
    explicit StateFunctions(void* library) {
        const auto find = [library](auto& function, const char* name, const char* older = nullptr) {
            void* symbol = ::dlsym(library, name);
            if (symbol == nullptr && older != nullptr) symbol = ::dlsym(library, older);
            function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(symbol);
        };
        find(pci, "nvmlDeviceGetPciInfo_v3");
        find(utilization, "nvmlDeviceGetUtilizationRates");
        find(power, "nvmlDeviceGetPowerUsage");
        find(energy, "nvmlDeviceGetTotalEnergyConsumption");
        find(temperature, "nvmlDeviceGetTemperature");
        find(clock, "nvmlDeviceGetClockInfo");
        find(reasons, "nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons");
    }

    nvml::DevicePci pci = nullptr;
    DeviceUtilization utilization = nullptr;
    nvml::DeviceNumber power = nullptr;
    DeviceWide energy = nullptr;
    DeviceTemperature temperature = nullptr;
    nvml::DeviceClock clock = nullptr;
    DeviceWide reasons = nullptr;
};

void write_state(base::JsonWriter& json, const StateFunctions& get, nvml::Device device) {
    constexpr int kGpuSensor = 0;
    json.begin_object();
    nvml::PciInfo pci{};
    if (get.pci != nullptr && get.pci(device, &pci) == nvml::kSuccess)
        json.field("id", fmt::format("pci:{:04x}:{:02x}:{:02x}.0", pci.domain, pci.bus, pci.device));
    Utilization busy{};
    if (get.utilization != nullptr && get.utilization(device, &busy) == nvml::kSuccess)
        json.field("busy", std::uint64_t{busy.gpu});
    unsigned value = 0;
    if (get.power != nullptr && get.power(device, &value) == nvml::kSuccess) json.field("mw", std::uint64_t{value});
    if (get.temperature != nullptr && get.temperature(device, kGpuSensor, &value) == nvml::kSuccess)
        json.field("celsius", std::uint64_t{value});
    if (get.clock != nullptr && get.clock(device, nvml::kGraphicsClock, &value) == nvml::kSuccess)
        json.field("mhz", std::uint64_t{value});
    unsigned long long wide = 0;
    if (get.energy != nullptr && get.energy(device, &wide) == nvml::kSuccess) json.field("mj", std::uint64_t{wide});
    if (get.reasons != nullptr && get.reasons(device, &wide) == nvml::kSuccess)
        json.field("reasons", std::uint64_t{wide});
    json.end_object();
}

/// One GPU's part of the lines.
struct Course {
    std::string id;
    std::vector<std::optional<double>> busy, watts, celsius, mhz;
    std::vector<std::optional<std::int64_t>> energy_uj;
    std::int64_t slowed = 0;
    std::int64_t told = 0;  ///< lines with the reasons for its clock
};

std::optional<double> bounded(std::optional<std::int64_t> value, std::int64_t most, double divisor) {
    if (!value || *value < 0 || *value > most) return std::nullopt;
    return static_cast<double>(*value) / divisor;
}

void read_state(const wire::JsonReader& json, std::size_t index, Course& course) {
    const auto number = [&](const char* key) { return json.integer(fmt::format("/gpus/{}/{}", index, key)); };
    course.busy.push_back(bounded(number("busy"), 100, 1.0));
    course.watts.push_back(bounded(number("mw"), 10'000'000, 1e3));
    course.celsius.push_back(bounded(number("celsius"), 150, 1.0));
    course.mhz.push_back(bounded(number("mhz"), 100'000, 1.0));
    const auto mj = number("mj");
    course.energy_uj.push_back(mj && *mj >= 0 && *mj < std::int64_t{1} << 50U ? std::optional(*mj * 1000)
                                                                              : std::nullopt);
    if (const auto reasons = number("reasons")) {
        ++course.told;
        course.slowed += (*reasons & kSlowedDown) != 0 ? 1 : 0;
    }
}

}  // namespace

int watch_gpus(const system::System& system) {
    void* const library = ::dlopen(library_name(system).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return 1;
    const auto init = reinterpret_cast<nvml::Init>(::dlsym(library, "nvmlInit_v2"));
    const auto count = reinterpret_cast<nvml::Count>(::dlsym(library, "nvmlDeviceGetCount_v2"));
    const auto handle = reinterpret_cast<nvml::HandleByIndex>(::dlsym(library, "nvmlDeviceGetHandleByIndex_v2"));
    unsigned gpus = 0;
    if (init == nullptr || count == nullptr || handle == nullptr || init() != nvml::kSuccess ||
        count(&gpus) != nvml::kSuccess)
        return 1;
    std::vector<nvml::Device> devices;
    for (unsigned i = 0; i < std::min(gpus, kMostGpus); ++i)
        if (nvml::Device device = nullptr; handle(i, &device) == nvml::kSuccess) devices.push_back(device);
    if (devices.empty()) return 1;
    const StateFunctions get(library);
    system::SteadyClock clock;
    for (TimePoint due = clock.now();; due += kPeriod) {
        base::JsonWriter json;
        json.begin_object().field("t", clock.now().time_since_epoch().count());
        json.key("gpus").begin_array();
        for (nvml::Device device : devices) write_state(json, get, device);
        json.end_array().end_object();
        std::fputs((json.text() + "\n").c_str(), stdout);
        if (std::fflush(stdout) != 0) return 1;
        system::nap(std::max(due + kPeriod - clock.now(), Ns{0}));
    }
}

std::vector<GpuReport> read_gpu_watch(std::string_view lines) {
    std::vector<Course> courses;
    std::int64_t first = 0;
    std::int64_t last = 0;
    wire::JsonReader json;
    bool any = false;
    for (const std::string_view line : base::split(lines, '\n')) {
        const auto at = json.parse(line) ? json.integer("/t") : std::nullopt;
        if (!at) continue;
        first = std::exchange(any, true) ? first : *at;
        last = *at;
        const std::size_t gpus = std::min<std::size_t>(json.size("/gpus").value_or(0), kMostGpus);
        courses.resize(std::max(courses.size(), gpus));
        for (std::size_t i = 0; i < gpus; ++i) {
            if (const auto id = json.text(fmt::format("/gpus/{}/id", i))) courses[i].id = base::one_line(*id, 64);
            read_state(json, i, courses[i]);
        }
    }
    std::vector<GpuReport> reports;
    for (std::size_t i = 0; i < courses.size(); ++i) {
        const Course& course = courses[i];
        reports.push_back(
            {.id = course.id.empty() ? fmt::format("nvml:{}", i) : course.id,
             .busy_percent = gauge_of(course.busy),
             .watts = gauge_of(course.watts),
             .celsius = gauge_of(course.celsius),
             .core_mhz = gauge_of(course.mhz),
             .energy = energy_between(course.energy_uj, 0, Ns(std::max<std::int64_t>(last - first, 0)), kGpuUpdate)});
        if (course.told > 1)
            reports.back().slowed_share = static_cast<double>(course.slowed) / static_cast<double>(course.told);
    }
    return reports;
}

std::optional<GpuWatch> GpuWatch::start(const system::System& system) {
    const bool driver =
        system.variable("VELOLLM_NVML").has_value() || !read_text(system, "/proc/driver/nvidia/version").empty();
    if (system.gpu_watcher.empty() || !driver) return std::nullopt;
    auto process =
        system::Process::start({.words = {system.gpu_watcher.string(), kGpuWatchWord}, .env = system.env}, system);
    if (!process) return std::nullopt;
    return GpuWatch(std::move(*process));
}

std::vector<GpuReport> GpuWatch::report() {
    process_.stop(Ns{0});
    return read_gpu_watch(process_.output(kMostBytes));
}

}  // namespace velollm::hardware
