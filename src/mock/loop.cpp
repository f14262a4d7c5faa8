#include "mock/loop.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include "mock/sockets.h"

namespace velollm::mock {
namespace {

constexpr std::size_t kMaxInput = kMaxHeaderBytes + kMaxBodyBytes + 4;

}  // namespace

Server::Loop::~Loop() {
    for (const auto& connection : connections)
        if (connection) ::close(connection->fd);
    for (const int fd : {listener, epoll, stopper})
        if (fd >= 0) ::close(fd);
}

Result<void> Server::Loop::open() {
    prepare_process();
    if (program.requests.empty()) program.requests.emplace_back();
    const auto socket = listen_on_loopback(options.port);
    if (!socket) return socket.error();
    listener = *socket;
    port = port_of(listener);
    epoll = ::epoll_create1(EPOLL_CLOEXEC);
    stopper = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (epoll < 0 || stopper < 0)
        return Error{ErrorCode::kFailed, "The system has no descriptors left", "Raise the limit: ulimit -n"};
    watch(listener, EPOLLIN, true);
    watch(stopper, EPOLLIN, true);
    if (options.stop_fd >= 0) watch(options.stop_fd, EPOLLIN, true);
    opened_ns = steady_now_ns();
    return {};
}

void Server::Loop::run() {
    while (!stopped) {
        fire_due();
        wait();
    }
    for (const auto& connection : connections)
        if (connection && connection->exchange && connection->exchange->generation)
            record(*connection->exchange, "stopped");
}

void Server::Loop::watch(int fd, std::uint32_t events, bool add) const {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    ::epoll_ctl(epoll, add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event);
}

void Server::Loop::accept_all() {
    for (int i = 0; i < 1024; ++i) {
        const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            // Out of descriptors: the listener would stay ready and wake the loop for nothing.
            if (errno == EMFILE || errno == ENFILE) {
                accepting = false;
                watch(listener, 0, false);
            }
            return;
        }
        const auto slot = static_cast<std::size_t>(fd);
        if (slot >= connections.size()) connections.resize(slot + 1);
        connections[slot] = std::make_unique<Connection>();
        connections[slot]->fd = fd;
        connections[slot]->serial = ++serials;
        ++truth.connections;
        set_nodelay(fd, true);
        watch(fd, EPOLLIN, true);
    }
}

Connection* Server::Loop::find(const Timer& timer) {
    Connection* connection = connections[static_cast<std::size_t>(timer.fd)].get();
    const bool same = connection != nullptr && connection->serial == timer.serial &&
                      connection->requests == timer.request && connection->exchange.has_value();
    return same ? connection : nullptr;
}

void Server::Loop::fire_due() {
    // A stream that is always due comes back at once: only what is here now is served before the sockets are asked.
    for (std::size_t left = timers.size(); left > 0 && !timers.empty(); --left) {
        const Timer timer = timers.top();
        if (timer.due_ns > steady_now_ns() + options.spin_ns) return;
        timers.pop();
        Connection* connection = find(timer);
        if (connection == nullptr) continue;
        while (steady_now_ns() < timer.due_ns) {}
        pump(*connection);
    }
}

void Server::Loop::wait() {
    std::array<epoll_event, 512> events;
    timespec timeout{};
    if (!timers.empty()) {
        const std::int64_t ns = std::max<std::int64_t>(timers.top().due_ns - steady_now_ns() - options.spin_ns, 0);
        timeout = {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
    }
    const int n = ::epoll_pwait2(epoll, events.data(), static_cast<int>(events.size()),
                                 timers.empty() ? nullptr : &timeout, nullptr);
    for (int i = 0; i < n; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        dispatch(event.data.fd, event.events);
    }
}

void Server::Loop::dispatch(int fd, std::uint32_t events) {
    if (fd == listener) return accept_all();
    if (fd == stopper || fd == options.stop_fd) {
        stopped = true;
        return;
    }
    Connection* connection = connections[static_cast<std::size_t>(fd)].get();
    if (connection == nullptr) return;
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !read_input(*connection))
        return close_connection(*connection, "client_gone");
    if ((events & EPOLLOUT) != 0) {
        watch(fd, EPOLLIN, false);
        connection->watches_output = false;
        if (connection->exchange) connection->exchange->unblocked_ns = steady_now_ns();
    }
    // A stream between two writes has its timer; looking again would add another.
    if (!connection->exchange || (events & EPOLLOUT) != 0) pump(*connection);
}

bool Server::Loop::read_input(Connection& connection) {
    std::array<char, 64 << 10> buffer;
    for (;;) {
        const ssize_t n = ::recv(connection.fd, buffer.data(), buffer.size(), 0);
        if (n < 0) return errno == EAGAIN || errno == EINTR;
        if (n == 0) return false;
        connection.read_ns = steady_now_ns();
        connection.input.append(buffer.data(), static_cast<std::size_t>(n));
        if (connection.input.size() > kMaxInput) return false;
        if (static_cast<std::size_t>(n) < buffer.size()) return true;
    }
}

void Server::Loop::close_connection(Connection& connection, const char* end) {
    if (connection.exchange) record(*connection.exchange, end);
    const int fd = connection.fd;
    ::close(fd);
    connections[static_cast<std::size_t>(fd)].reset();
    if (!accepting) watch(listener, EPOLLIN, false);
    accepting = true;
    give_slot();
}

Server::Server(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::open(Program program, ServerOptions options) {
    auto loop = std::make_unique<Loop>();
    loop->program = std::move(program);
    loop->options = std::move(options);
    if (const auto opened = loop->open(); !opened) return opened.error();
    return std::unique_ptr<Server>(new Server(std::move(loop)));
}

int Server::port() const {
    return loop_->port;
}
std::string Server::url() const {
    return fmt::format("http://127.0.0.1:{}", loop_->port);
}
void Server::run() {
    loop_->run();
}
const Truth& Server::truth() const {
    return loop_->truth;
}

void Server::stop() {
    const std::uint64_t one = 1;
    // Full or interrupted: it is readable already.
    [[maybe_unused]] const ssize_t n = ::write(loop_->stopper, &one, sizeof one);
}

}  // namespace velollm::mock
