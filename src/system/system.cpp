#include "system/system.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>

#include "base/text.h"

extern char** environ;

namespace velollm::system {
namespace fs = std::filesystem;

std::optional<std::string> System::variable(const std::string& name) const {
    const auto it = env.find(name);
    if (it == env.end() || it->second.empty()) return std::nullopt;
    return it->second;
}

System this_system() {
    System out;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view line(*entry);
        const std::size_t equals = line.find('=');
        if (equals != std::string_view::npos) out.env.emplace(line.substr(0, equals), line.substr(equals + 1));
    }
    return out;
}

namespace {

std::optional<std::string> read_rest(int file) {
    std::string text;
    std::array<char, 4096> piece{};
    ssize_t got = 0;
    do {
        got = ::read(file, piece.data(), piece.size());
        if (got > 0) text.append(piece.data(), static_cast<std::size_t>(got));
    } while (got > 0 || (got < 0 && errno == EINTR));
    ::close(file);
    if (got < 0) return std::nullopt;
    return text;
}

}  // namespace

std::optional<std::string> read_file(const fs::path& path) {
    // Without a stream: the watch over a run reads files five times a second, and a stream costs more than the file.
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return std::nullopt;
    return read_rest(file);
}

std::optional<std::string> read_end(const fs::path& path, std::size_t bytes) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return std::nullopt;
    const off_t size = ::lseek(file, 0, SEEK_END);
    const auto most = static_cast<off_t>(bytes);
    ::lseek(file, size > most ? size - most : 0, SEEK_SET);
    return read_rest(file);
}

namespace {

/// The file that a link leads to, so that replacing it keeps the link.
fs::path final_target(const fs::path& path) {
    std::error_code error;
    const fs::path target = fs::canonical(path, error);
    return error ? path : target;
}

Error write_error(const fs::path& path, int code) {
    std::string hint = "Choose another file with -o.";
    if (code == ENOSPC || code == EDQUOT) hint = "The disk is full. Free some space, or choose another file with -o.";
    if (code == ENOENT) hint = fmt::format("Create the folder first: mkdir -p {}", path.parent_path().string());
    if (code == EACCES || code == EROFS || code == EPERM)
        hint = "The folder can't be written to. Choose another file with -o.";
    return {ErrorCode::kFailed, fmt::format("Cannot write {}: {}", path.string(), std::strerror(code)), hint};
}

/// Writes all of `text` to `fd` and flushes it to the disk; errno of the step that failed, or 0.
int write_and_sync(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        if (n < 0 && errno != EINTR) return errno;
        if (n > 0) text.remove_prefix(static_cast<std::size_t>(n));
    }
    return ::fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
}

/// Writes `text` to a new file beside `path`: its name, or errno.
std::pair<fs::path, int> write_beside(const fs::path& path, std::string_view text) {
    fs::path temporary = path;
    temporary += fmt::format(".{}.tmp", ::getpid());
    const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return {temporary, errno};
    int code = write_and_sync(fd, text);
    if (::close(fd) != 0 && code == 0) code = errno;
    if (code != 0) ::unlink(temporary.c_str());
    return {temporary, code};
}

/// A device, a pipe or a socket, also at the end of links: it is written to, and never replaced.
bool is_no_file(const fs::path& path) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    return fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status);
}

Result<void> write_into(const fs::path& path, std::string_view text) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return write_error(path, errno);
    int code = write_and_sync(fd, text);
    if (::close(fd) != 0 && code == 0) code = errno;
    if (code != 0) return write_error(path, code);
    return {};
}

}  // namespace

Result<void> write_file_atomic(const fs::path& asked, std::string_view text) {
    if (is_no_file(asked)) return write_into(asked, text);
    const fs::path path = final_target(asked);
    const auto [temporary, code] = write_beside(path, text);
    if (code != 0) return write_error(asked, code);
    if (::rename(temporary.c_str(), path.c_str()) != 0) {
        const int rename_code = errno;
        ::unlink(temporary.c_str());
        return write_error(asked, rename_code);
    }
    return {};
}

Result<void> check_writable(const fs::path& asked) {
    if (is_no_file(asked)) {
        if (::access(asked.c_str(), W_OK) != 0) return write_error(asked, errno);
        return {};
    }
    const fs::path path = final_target(asked);
    if (fs::is_directory(path)) return write_error(asked, EISDIR);
    // A page of real bytes: on a full disk an empty file can still be made.
    const auto [temporary, code] = write_beside(path, std::string(4096, ' '));
    if (code != 0) return write_error(asked, code);
    ::unlink(temporary.c_str());
    return {};
}

namespace {
fs::path user_folder(const System& system, const char* variable, const char* fallback) {
    if (const auto folder = system.variable(variable)) return fs::path(*folder) / "velollm";
    return fs::path(system.variable("HOME").value_or("/")) / fallback / "velollm";
}
}  // namespace

fs::path cache_folder(const System& system) {
    return user_folder(system, "XDG_CACHE_HOME", ".cache");
}

fs::path config_folder(const System& system) {
    return user_folder(system, "XDG_CONFIG_HOME", ".config");
}

fs::path state_folder(const System& system) {
    return user_folder(system, "XDG_STATE_HOME", ".local/state");
}

Result<void> make_folder(const fs::path& folder) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (!error) return {};
    return Error{ErrorCode::kFailed, fmt::format("Cannot make the folder {}: {}", folder.string(), error.message()),
                 "Name another place: XDG_STATE_HOME=FOLDER"};
}

std::string utc_timestamp(std::int64_t unix_seconds) {
    const std::time_t seconds = unix_seconds;
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text.data();
}

std::int64_t unix_now_ms() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

Ns process_cpu_time() {
    timespec time{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + Ns(time.tv_nsec);
}

std::int64_t peak_memory_bytes() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return std::int64_t{1024} * usage.ru_maxrss;  // Linux counts in KiB
}

std::optional<MachineTime> parse_machine_time(std::string_view proc_stat, long ticks_per_second) {
    const std::string_view line = proc_stat.substr(0, proc_stat.find('\n'));
    if (!line.starts_with("cpu ") || ticks_per_second <= 0) return std::nullopt;
    // user nice system idle iowait irq softirq steal; guest time is part of user (proc_stat(5)).
    constexpr std::size_t kFields = 8;
    constexpr std::size_t kIdle = 3;
    constexpr std::size_t kIoWait = 4;
    constexpr std::size_t kSteal = 7;
    MachineTime out;
    std::size_t field = 0;
    for (const std::string_view word : base::split(line.substr(4), ' ')) {
        if (word.empty()) continue;
        const auto ticks = base::parse_int(word);
        if (!ticks || field == kFields) break;
        const Ns time{*ticks * (1'000'000'000 / ticks_per_second)};
        out.all += time;
        if (field != kIdle && field != kIoWait) out.busy += time;
        if (field == kSteal) out.stolen = time;
        ++field;
    }
    return field > kIoWait ? std::optional(out) : std::nullopt;
}

std::optional<MachineTime> machine_time(const System& system) {
    const auto text = read_file(system.root / "proc/stat");
    return text ? parse_machine_time(*text, ::sysconf(_SC_CLK_TCK)) : std::nullopt;
}

void nap(Ns time) {
    const auto count = std::max<Ns::rep>(time.count(), 0);
    const timespec wanted{count / 1'000'000'000, count % 1'000'000'000};
    ::nanosleep(&wanted, nullptr);
}

std::uint64_t random_u64() {
    std::uint64_t value = 0;
    if (::getrandom(&value, sizeof value, 0) == sizeof value) return value;
    std::random_device device;
    return static_cast<std::uint64_t>(device()) << 32U | device();
}

}  // namespace velollm::system
