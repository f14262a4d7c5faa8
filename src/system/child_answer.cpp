#include "system/child_answer.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <utility>

namespace velollm::system {
namespace {

void write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(fd, text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return;
        text.remove_prefix(static_cast<std::size_t>(written));
    }
}

/// Reads what is there now. False at the end of the pipe.
bool read_some(int pipe, std::size_t max_bytes, ChildAnswer& answer) {
    std::array<char, 4096> piece{};
    for (;;) {
        const ssize_t got = ::read(pipe, piece.data(), piece.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno == EAGAIN;
        if (got == 0) return false;
        answer.text.append(piece.data(), static_cast<std::size_t>(got));
        answer.in_size = answer.text.size() <= max_bytes;
        if (!answer.in_size) return true;
    }
}

int poll_timeout_ms(Ns left) {
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    return static_cast<int>(std::clamp<std::int64_t>(ms, 0, 60'000));
}

void become_quiet() {
    ::setpgid(0, 0);
    // A limit of 1 byte also keeps the dump from a program that /proc/sys/kernel/core_pattern names; 0 doesn't.
    const rlimit no_core{.rlim_cur = 1, .rlim_max = 1};
    ::setrlimit(RLIMIT_CORE, &no_core);
    // Handlers of this process, a sanitizer's included, would hide by which signal the child died.
    for (const int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGTERM, SIGINT, SIGPIPE})
        ::signal(number, SIG_DFL);
    const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(nothing, fd);
}

}  // namespace

Result<ChildQuestion> ChildQuestion::ask(const std::function<std::string()>& body) {
    return ask_in_pieces([&body](const Write& write) { write(body()); });
}

Result<ChildQuestion> ChildQuestion::ask_in_pieces(const std::function<void(const Write&)>& body) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return Error{ErrorCode::kFailed, fmt::format("Cannot make a pipe: {}", std::strerror(errno)), ""};
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) {
        const int code = errno;
        ::close(ends[0]);
        ::close(ends[1]);
        return Error{ErrorCode::kFailed, fmt::format("Cannot fork: {}", std::strerror(code)), ""};
    }
    if (pid > 0) {
        ::close(ends[1]);
        ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
        return ChildQuestion(pid, ends[0]);
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);  // it died before the line above
    ::close(ends[0]);
    become_quiet();
    body([&ends](std::string_view text) { write_all(ends[1], text); });
    ::_exit(0);
}

ChildQuestion::ChildQuestion(ChildQuestion&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)), pipe_(std::exchange(other.pipe_, -1)) {}

ChildQuestion::~ChildQuestion() {
    kill_and_reap();
}

ProcessEnd ChildQuestion::kill_and_reap() {
    ProcessEnd end;
    if (pipe_ >= 0) ::close(std::exchange(pipe_, -1));
    if (pid_ <= 0) return end;
    const pid_t pid = std::exchange(pid_, 0);
    ::kill(pid, SIGKILL);   // its group may not be made yet
    ::kill(-pid, SIGKILL);  // what it started itself
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    end.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    end.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    return end;
}

ChildAnswer ChildQuestion::answer(Clock& clock, TimePoint deadline, std::size_t max_bytes,
                                  const std::function<bool()>& stop) {
    constexpr int kAskEveryMs = 200;
    ChildAnswer answer;
    // What the child started may hold its end of the pipe open for ever. Kernels before 5.3 have no such descriptor,
    // and poll() passes over -1.
    const auto ended = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));  // glibc 2.36 can't be called from C++
    bool last = false;
    while (!last && answer.in_size) {
        std::array<pollfd, 2> wanted{pollfd{.fd = pipe_, .events = POLLIN, .revents = 0},
                                     pollfd{.fd = ended, .events = POLLIN, .revents = 0}};
        const int longest = poll_timeout_ms(deadline - clock.now());
        const int ready = ::poll(wanted.data(), wanted.size(), stop ? std::min(longest, kAskEveryMs) : longest);
        const bool stopped = stop && stop();
        if (ready < 0 && errno == EINTR && !stopped) continue;
        if (ready == 0 && clock.now() < deadline && !stopped) continue;
        answer.in_time = ready > 0;
        // Asked before reading: what was written before the end is in the pipe by then.
        last = ready <= 0 || stopped || wanted[1].revents != 0;
        last = !read_some(pipe_, max_bytes, answer) || last;
    }
    if (ended >= 0) ::close(ended);
    answer.end = kill_and_reap();
    if (!answer.in_time || !answer.in_size) answer.end = {};
    return answer;
}

}  // namespace velollm::system
