#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <set>

#include "backend/make_backend.h"
#include "backend/ollama_store_model.h"
#include "backend/started_llama_server.h"
#include "base/text.h"
#include "hardware/engine_process.h"
#include "hardware/files.h"
#include "hardware/limits.h"
#include "model/calibration_file.h"
#include "optimize/doctor.h"
#include "optimize/doctor_address.h"
#include "system/file_rights.h"
#include "system/process.h"
#include "wire/url.h"

namespace velollm::optimize {
namespace {

namespace fs = std::filesystem;

constexpr Ns kWatch = std::chrono::milliseconds(1030);  // shares of less than a second would be noise
constexpr Ns kNap = std::chrono::milliseconds(1);

std::string command_name(const system::System& system, int pid) {
    return hardware::read_word(system, fmt::format("/proc/{}/comm", pid));
}

/// CPU time of every process but the engine's and ours.
std::map<int, Ns> cpu_times(const system::System& system, const std::vector<int>& engine) {
    std::map<int, Ns> out;
    std::error_code error;
    const std::string own = fs::read_symlink(hardware::under_root(system, "/proc/self"), error).string();
    for (fs::directory_iterator it(hardware::under_root(system, "/proc"), error), end; !error && it != end;
         it.increment(error)) {
        const std::string name = it->path().filename().string();
        const auto pid = base::parse_int(name);
        if (!pid || name == own || std::find(engine.begin(), engine.end(), *pid) != engine.end()) continue;
        if (const auto use = hardware::process_use(system, {static_cast<int>(*pid)}))
            out[static_cast<int>(*pid)] = use->cpu;
    }
    return out;
}

std::optional<BusyProcess> busiest(const system::System& system, const std::map<int, Ns>& before,
                                   const std::map<int, Ns>& after, Ns span) {
    std::optional<BusyProcess> found;
    for (const auto& [pid, cpu] : after) {
        const auto it = before.find(pid);
        const double cpus = to_seconds(cpu - (it == before.end() ? Ns{0} : it->second)) / to_seconds(span);
        constexpr double kWorthNaming = 0.05;
        if (cpus > std::max(kWorthNaming, found ? found->cpus : 0.0))
            found = BusyProcess{command_name(system, pid), pid, cpus};
    }
    return found;
}

void watch(const system::System& system, const hardware::EnginePlace& engine, Clock& clock, Sight& sight) {
    const auto before = cpu_times(system, engine.processes);
    const TimePoint begin = clock.now();
    hardware::HostWatch host(system, engine, kNap);
    while (clock.now() < begin + kWatch) system::nap(begin + kWatch - clock.now());
    sight.watched = host.report();
    sight.busiest = busiest(system, before, cpu_times(system, engine.processes), clock.now() - begin);
}

/// What of the processes lies in swap; nothing where the kernel doesn't tell.
std::optional<std::int64_t> swapped(const system::System& system, const std::vector<int>& processes) {
    std::optional<std::int64_t> total;
    for (const int pid : processes)
        for (const std::string_view line :
             base::split(hardware::read_text(system, fmt::format("/proc/{}/status", pid)), '\n')) {
            const auto [name, value] = hardware::name_and_value(line, ':');
            if (name != "VmSwap") continue;
            const auto kib = base::parse_int(value.substr(0, value.find(' ')));
            if (kib) total = total.value_or(0) + *kib * 1024;
        }
    return total;
}

/// User and groups of a process by its status file.
struct Who {
    std::int64_t user = -1;
    std::set<std::int64_t> groups;
};
Who who_runs(const system::System& system, const std::string& pid) {
    Who who;
    for (const std::string_view line :
         base::split(hardware::read_text(system, fmt::format("/proc/{}/status", pid)), '\n')) {
        const auto [name, value] = hardware::name_and_value(line, ':');
        std::string text(value);
        std::replace(text.begin(), text.end(), '\t', ' ');
        const auto words = base::split(text, ' ');
        if (name == "Uid" && words.size() > 1) who.user = base::parse_int(words[1]).value_or(-1);
        if (name == "Gid" || name == "Groups")
            for (const std::string_view word : words)
                if (const auto group = base::parse_int(word)) who.groups.insert(*group);
    }
    return who;
}

/// Of the files that compute goes through, those that the server's user may not open.
std::vector<ClosedDevice> closed_devices(const system::System& system, const Who& who) {
    std::vector<std::string> paths = {"/dev/kfd"};
    std::error_code error;
    for (fs::directory_iterator it(hardware::under_root(system, "/dev/dri"), error), end; !error && it != end;
         it.increment(error))
        if (it->path().filename().string().starts_with("renderD"))
            paths.push_back("/dev/dri/" + it->path().filename().string());
    std::vector<ClosedDevice> out;
    for (const std::string& path : paths) {
        const fs::path place = hardware::under_root(system, path);
        const auto rights = system::file_rights(place);
        if (who.user <= 0 || !rights || system::may_read_and_write(*rights, who.user, who.groups)) continue;
        // Of ourselves the kernel knows better: it goes by access lists, too.
        if (who.user == system::own_user() && system::may_read_and_write(place)) continue;
        out.push_back({path, system::group_name(rights->group), system::user_name(who.user)});
    }
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
    return out;
}

std::optional<DiskRoom> room_at(const system::System& system, const fs::path& folder) {
    std::error_code error;
    const fs::path place = hardware::under_root(system, folder.string());
    if (!fs::is_directory(place, error)) return std::nullopt;
    const fs::space_info space = fs::space(place, error);
    if (error) return std::nullopt;
    const auto bytes = [](std::uintmax_t value) {
        return static_cast<std::int64_t>(std::min<std::uintmax_t>(value, INT64_MAX));
    };
    return DiskRoom{folder.string(), bytes(space.available), bytes(space.capacity)};
}

/// The server's own store before those that this user would have; llama-server's is where its model lies.
std::optional<DiskRoom> find_store(const system::System& system, const Observed& observed) {
    std::vector<fs::path> places;
    if (!observed.model_file.empty()) places.push_back(fs::path(observed.model_file).parent_path());
    if (observed.server && observed.server->env.contains("OLLAMA_MODELS"))
        places.emplace_back(observed.server->env.at("OLLAMA_MODELS"));
    if (observed.engine != "llama-server")
        for (const fs::path& store : backend::ollama_stores(system)) places.push_back(store);
    for (const fs::path& place : places)
        if (auto room = room_at(system, place)) return room;
    return std::nullopt;
}

std::string find_installed(const Target& target, const system::System& system) {
    if (target.engine == "ollama") {
        const auto program = system::find_program(system, "ollama");
        return program ? program->string() : "";
    }
    const auto program = backend::find_llama_server(target.llama_server, system);
    return program ? program->string() : "";
}

bool has_unit(const system::System& system) {
    constexpr std::array kPlaces = {"/etc/systemd/system/ollama.service", "/usr/lib/systemd/system/ollama.service",
                                    "/lib/systemd/system/ollama.service"};
    std::error_code error;
    return std::any_of(kPlaces.begin(), kPlaces.end(),
                       [&](const char* place) { return fs::exists(hardware::under_root(system, place), error); });
}

void look_at_machine(const system::System& system, const Observed& observed, bool watched, Clock& clock, Sight& sight,
                     std::int64_t total_bytes) {
    const std::optional<int> root = observed.server ? std::optional(observed.server->pid) : std::nullopt;
    const hardware::EnginePlace engine = hardware::find_engine(system, root, false);
    sight.heat_events = hardware::read_sample(system, engine, {}, clock.now()).throttle_events;
    sight.power = hardware::read_power(system);
    sight.swapped_bytes = swapped(system, engine.processes);
    const std::string who = root ? std::to_string(*root) : "self";
    sight.closed_devices = closed_devices(system, who_runs(system, who));
    if (!engine.cpu_group.empty())
        sight.quota = parse_quota_stops(hardware::read_text(system, engine.cpu_group + "/cpu.stat"));
    const auto chain = hardware::cgroup_chain(hardware::read_text(system, fmt::format("/proc/{}/cgroup", who)),
                                              hardware::read_text(system, "/proc/self/mountinfo"), "memory");
    if (const auto limit = hardware::read_memory_limit(system, chain, total_bytes))
        sight.memory_limit_bytes = limit->limit_bytes;
    sight.store = find_store(system, observed);
    if (watched) watch(system, engine, clock, sight);
}

}  // namespace

std::optional<QuotaStops> parse_quota_stops(std::string_view cpu_stat) {
    const auto periods = hardware::parse_counter(cpu_stat, "nr_periods");
    const auto stopped = hardware::parse_counter(cpu_stat, "nr_throttled");
    if (!periods || !stopped) return std::nullopt;
    return QuotaStops{*periods, *stopped};
}

std::vector<std::string> features_in_log(std::string_view log) {
    // "msg=system CPU.0.SSE3=1 CPU.0.AVX2=1 CPU.0.LLAMAFILE=1 ..." of Ollama up to 0.24.
    constexpr std::string_view kMark = "msg=system ";
    constexpr std::string_view kCpu = "CPU.0.";
    std::vector<std::string> out;
    const std::size_t at = log.rfind(kMark);
    if (at == std::string_view::npos) return out;
    const std::string_view line = log.substr(at, log.find('\n', at) - at);
    for (std::string_view word : base::split(line, ' '))
        if (word.starts_with(kCpu) && word.ends_with("=1"))
            out.push_back(base::lower(word.substr(kCpu.size(), word.size() - kCpu.size() - 2)));
    return out;
}

std::optional<KnownSpeed> known_speed(const Facts& facts, const std::string& machine, const system::System& system) {
    const auto known = model::load_calibration(system);
    if (!known || !facts.shape) return std::nullopt;
    const serde::MachineRates* rates = model::rates_of(*known, machine);
    if (rates == nullptr || rates->read_gbps <= 0) return std::nullopt;
    const std::string key = model::shape_key(*facts.shape);
    const std::string engine = facts.engine == "llama-server" ? "llamacpp" : facts.engine;
    for (auto run = known->runs.rbegin(); run != known->runs.rend(); ++run) {
        const bool same = run->machine == machine && run->key == key && run->engine == engine && !run->on_gpu &&
                          run->source == "benchmark";
        if (same && run->decode_tps > 0 && run->decode_bytes > 0)
            return KnownSpeed{run->when, run->decode_tps, static_cast<double>(run->decode_bytes), rates->read_gbps};
    }
    return std::nullopt;
}

Subject look(const Target& wanted, bool watched, const system::System& system, Clock& clock) {
    Subject subject;
    Sight& sight = subject.sight;
    Target target = wanted;
    if (target.engine == "ollama") {
        sight.models = listed_models(target, system, clock);
        // Without a name it is what the server holds, else its newest model, before a usual one that isn't there.
        if (target.model.empty() && sight.models && !sight.models->empty())
            target.model = loaded_model(target, system, clock).value_or(sight.models->front());
    }
    subject.facts = gather(target, Profile::kChat, {}, system, clock);
    const Observed& observed = subject.facts.observed;
    if (target.engine == "embedded" && !subject.facts.model.empty()) {
        const auto there = check_model_name(subject.facts, system);
        if (!there)
            sight.model_trouble = there.error();
        else if (const auto file = backend::find_model_file(subject.facts.model, system); !file)
            sight.model_trouble = file.error();
    }
    if (target.engine != "embedded" && !observed.answering) {
        sight.at = ask_address(target, system, clock);
        sight.elsewhere = find_elsewhere(target, system, clock);
        sight.program = find_installed(target, system);
        sight.unit_installed = has_unit(system);
    }
    const auto url = wire::parse_url(observed.url, 0);
    sight.remote = observed.answering && url && !wire::is_loopback(*url);
    if (!sight.remote)
        look_at_machine(system, observed, watched, clock, sight, subject.facts.hardware.memory.total_bytes);
    return subject;
}

}  // namespace velollm::optimize
