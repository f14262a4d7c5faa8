#include "system/child_answer.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "system/forked_child.h"

namespace velollm::system {
namespace {

using Clock = std::chrono::steady_clock;

constexpr char kEnd = '\0';  // behind all that a body wrote

struct Pipe {
    int read = -1;
    int write = -1;

    ~Pipe() {
        close(read);
        close(write);
    }
    static void close(int& fd) {
        if (fd >= 0) ::close(fd);
        fd = -1;
    }
};

void write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(fd, text.data(), text.size());
        if (written < 0 && errno != EINTR) return;
        if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
    }
}

/// Reads until the other end closes, or time or room is up.
std::string read_all(int fd, Clock::time_point until, std::size_t most_bytes) {
    std::string text;
    std::array<char, 4096> piece{};
    while (text.size() <= most_bytes) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
        if (left <= 0) return text;
        pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
        if (::poll(&wait, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000))) <= 0) continue;
        const ssize_t got = ::read(fd, piece.data(), piece.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return text;
        text.append(piece.data(), static_cast<std::size_t>(got));
    }
    return text;
}

/// The copy inherits what this process has printed and not yet written; code that ends a process may write it out.
void silence(int kept) {
    const int nothing = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    for (const int fd : {STDOUT_FILENO, STDERR_FILENO})
        if (nothing >= 0 && fd != kept) ::dup2(nothing, fd);
}

}  // namespace

Result<ChildAnswer> ask_child(const std::function<void(const Write&)>& body, std::chrono::milliseconds longest,
                              std::size_t most_bytes) {
    Pipe pipe;
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return Error{ErrorCode::kFailed, fmt::format("Cannot make a pipe: {}", std::strerror(errno)),
                     "Too many open files: close some programs."};
    pipe.read = ends[0];
    pipe.write = ends[1];
    const auto child = ForkedChild::start([&] {
        ::signal(SIGPIPE, SIG_IGN);
        silence(pipe.write);
        body([&](std::string_view text) { write_all(pipe.write, text); });
        write_all(pipe.write, std::string_view(&kEnd, 1));
        return 0;
    });
    if (!child) return child.error();
    Pipe::close(pipe.write);
    ChildAnswer answer{.text = read_all(pipe.read, Clock::now() + longest, most_bytes)};
    if (!answer.text.empty() && answer.text.back() == kEnd && answer.text.size() <= most_bytes) {
        answer.complete = true;
        answer.text.pop_back();
    }
    return answer;
}

}  // namespace velollm::system
