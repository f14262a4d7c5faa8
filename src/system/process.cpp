#include "system/process.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <ctime>
#include <utility>

#include "base/text.h"

namespace velollm::system {
namespace fs = std::filesystem;
namespace {

constexpr Ns kStopGrace = std::chrono::seconds(5);

/// Closes its descriptor.
class Descriptor {
public:
    explicit Descriptor(int fd = -1) : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Descriptor() { close(); }
    int get() const { return fd_; }
    void close() {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }

private:
    int fd_;
};

Error cannot(const char* what, int code) {
    return {ErrorCode::kFailed, fmt::format("Cannot {}: {}", what, std::strerror(code)), ""};
}

Result<Descriptor> nameless_file(const System& system) {
    std::string name = (fs::path(system.variable("TMPDIR").value_or("/tmp")) / "velollm-output-XXXXXX").string();
    Descriptor file(::mkostemp(name.data(), O_CLOEXEC | O_APPEND));
    if (file.get() < 0) {
        Error error = cannot("write to the temporary folder", errno);
        error.hint = "Name another one: TMPDIR=FOLDER";
        return error;
    }
    ::unlink(name.c_str());
    return file;
}

/// Pointers to texts that outlive them, as exec wants them.
std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (std::string& text : texts) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
}

struct ChildWords {
    char* const* words;
    char* const* env;
    int input;
    int output;
    int failure;  ///< where to write errno when the program can't be run
    pid_t parent;
};

/// Between fork and exec: calls that are async-signal-safe, and no memory taken.
[[noreturn]] void become(const ChildWords& child) {
    const auto give_up = [&] {
        const int code = errno;
        [[maybe_unused]] const ssize_t written = ::write(child.failure, &code, sizeof code);
        ::_exit(127);
    };
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != child.parent) ::_exit(127);  // it died before the line above
    struct sigaction usual {};
    usual.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; ++number) ::sigaction(number, &usual, nullptr);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    if (::dup2(child.input, STDIN_FILENO) < 0 || ::dup2(child.output, STDOUT_FILENO) < 0 ||
        ::dup2(child.output, STDERR_FILENO) < 0)
        give_up();
    ::close_range(STDERR_FILENO + 1, UINT_MAX, CLOSE_RANGE_CLOEXEC);
    ::execve(child.words[0], child.words, child.env);
    give_up();
    ::_exit(127);
}

void pause_briefly() {
    const timespec time{.tv_sec = 0, .tv_nsec = 5'000'000};
    ::nanosleep(&time, nullptr);
}

}  // namespace

std::string ProcessEnd::text() const {
    return signal != 0 ? fmt::format("killed by signal {}", signal) : fmt::format("with exit code {}", exit_code);
}

struct Process::State {
    pid_t pid = 0;
    Descriptor output;
    std::optional<ProcessEnd> end;

    /// Whether it has ended; it stays a zombie, so that its number and its group's can't be somebody else's yet.
    bool gone() const {
        siginfo_t info{};
        return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == pid;
    }
    void reap() {
        if (end) return;
        ::kill(-pid, SIGKILL);  // what it started itself
        int status = 0;
        while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
        end = WIFSIGNALED(status) ? ProcessEnd{.exit_code = 0, .signal = WTERMSIG(status)}
                                  : ProcessEnd{.exit_code = WEXITSTATUS(status), .signal = 0};
    }
};

Process::Process(std::unique_ptr<State> state) : state_(std::move(state)) {}
Process::Process(Process&&) noexcept = default;
Process& Process::operator=(Process&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
}
Process::~Process() {
    if (state_) stop(kStopGrace);
}

Result<Process> Process::start(const ProcessSpec& spec, const System& system) {
    auto output = nameless_file(system);
    if (!output) return output.error();
    const Descriptor input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    std::array<int, 2> ends{};
    if (input.get() < 0 || ::pipe2(ends.data(), O_CLOEXEC) != 0) return cannot("start a program", errno);
    const Descriptor failure(ends[0]);
    Descriptor failure_in_child(ends[1]);

    std::vector<std::string> words = spec.words;
    std::vector<std::string> env;
    for (const auto& [name, value] : spec.env) env.push_back(fmt::format("{}={}", name, value));
    const std::vector<char*> word_pointers = pointers(words);
    const std::vector<char*> env_pointers = pointers(env);
    const ChildWords child{word_pointers.data(), env_pointers.data(),    input.get(),
                           output->get(),        failure_in_child.get(), ::getpid()};
    const pid_t pid = ::fork();
    if (pid < 0) return cannot("start a program", errno);
    if (pid == 0) become(child);

    auto state = std::make_unique<State>();
    state->pid = pid;
    state->output = std::move(*output);
    Process process(std::move(state));
    failure_in_child.close();
    int code = 0;
    ssize_t got = 0;
    while ((got = ::read(failure.get(), &code, sizeof code)) < 0 && errno == EINTR) {}
    if (got == sizeof code) {
        process.state_->reap();
        return Error{ErrorCode::kFailed, fmt::format("Cannot run {}: {}", spec.words.front(), std::strerror(code)), ""};
    }
    return process;
}

int Process::pid() const {
    return state_->pid;
}

std::optional<ProcessEnd> Process::ended() {
    if (!state_->end && state_->gone()) state_->reap();
    return state_->end;
}

std::optional<ProcessEnd> Process::wait(TimePoint deadline) {
    SteadyClock clock;
    while (!state_->end && !state_->gone() && clock.now() < deadline) pause_briefly();
    return ended();
}

std::string Process::output(std::size_t bytes) const {
    struct stat file {};
    if (::fstat(state_->output.get(), &file) != 0) return {};
    const auto wanted = static_cast<off_t>(bytes);
    const off_t from = std::max<off_t>(0, file.st_size - wanted);
    if (from > 0) ::fallocate(state_->output.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, from);
    std::string text(static_cast<std::size_t>(file.st_size - from), '\0');
    const ssize_t got = ::pread(state_->output.get(), text.data(), text.size(), from);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
}

void Process::stop(Ns grace) {
    if (state_->end) return;
    SteadyClock clock;
    const TimePoint deadline = clock.now() + grace;
    if (!state_->gone()) ::kill(state_->pid, SIGTERM);
    while (!state_->gone() && clock.now() < deadline) pause_briefly();
    state_->reap();
}

std::optional<std::int64_t> resident_bytes(const System& system, int pid) {
    const auto text = read_file(system.root / fmt::format("proc/{}/status", pid));
    if (!text) return std::nullopt;
    for (const std::string_view line : base::split(*text, '\n')) {
        if (!line.starts_with("VmRSS:") || !line.ends_with(" kB")) continue;
        const auto kib = base::parse_int(base::trim(line.substr(6, line.size() - 9)));
        if (kib) return *kib * 1024;
    }
    return std::nullopt;
}

bool is_executable(const fs::path& file) {
    std::error_code error;
    return fs::is_regular_file(file, error) && ::access(file.c_str(), X_OK) == 0;
}

std::optional<fs::path> find_program(const System& system, const std::string& name) {
    const std::string folders = system.variable("PATH").value_or("");
    for (const std::string_view folder : base::split(folders, ':')) {
        if (folder.empty()) continue;
        const fs::path file = fs::path(folder) / name;
        if (is_executable(file)) return file;
    }
    return std::nullopt;
}

Result<int> free_loopback_port() {
    const Descriptor probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (probe.get() < 0 || ::bind(probe.get(), generic, size) != 0 || ::getsockname(probe.get(), generic, &size) != 0)
        return cannot("find a free port", errno);
    return ntohs(address.sin_port);
}

}  // namespace velollm::system
