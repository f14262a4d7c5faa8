// How much the scripted server can do on this machine, with a client on the same machine that only counts.
//
//   mock_limits [STREAMS] [SECONDS]
//
// Holds STREAMS (10000) streams of 5 tok/s open for SECONDS (20), then lets 8 connections read as fast as they can.
// Prints figures and judges none. Each side needs a descriptor per stream: ulimit -n.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "mock/server.h"
#include "serde/mock_script.h"

namespace {

using namespace velollm;
using SteadyTime = std::chrono::steady_clock::time_point;

struct Client {
    int opened = 0;
    int ended = 0;
    int failed = 0;
    std::uint64_t bytes = 0;
    std::uint64_t events = 0;
    double seconds = 0;
};

int connect_to(int port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    if (fd >= 0 && ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
    if (fd >= 0) ::close(fd);
    return -1;
}

std::uint64_t count_events(std::string_view text) {
    std::uint64_t n = 0;
    for (std::size_t at = text.find("\n\n"); at != std::string_view::npos; at = text.find("\n\n", at + 2)) ++n;
    return n;
}

/// Opens `streams` at once and reads until all have ended. Events cut by a read are missed: a few in a million.
Client read_streams(int port, int streams) {
    Client client;
    const SteadyTime start = std::chrono::steady_clock::now();
    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    const std::string request =
        "POST /completion HTTP/1.1\r\nConnection: close\r\nContent-Length: "
        "28\r\n\r\n{\"prompt\":\"a\",\"stream\":true}";
    for (int i = 0; i < streams; ++i) {
        const int fd = connect_to(port);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = fd;
        if (fd < 0 || ::send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) {
            ++client.failed;
        } else {
            ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
            ++client.opened;
        }
    }
    std::vector<char> buffer(1 << 18);
    std::array<epoll_event, 512> events{};
    while (client.ended < client.opened) {
        const int n = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), 60'000);
        if (n <= 0) break;
        for (int i = 0; i < n; ++i) {
            const int fd = events[static_cast<std::size_t>(i)].data.fd;
            const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
            if (got > 0) {
                client.bytes += static_cast<std::uint64_t>(got);
                client.events += count_events({buffer.data(), static_cast<std::size_t>(got)});
                continue;
            }
            if (got < 0) ++client.failed;
            ++client.ended;
            ::close(fd);
        }
    }
    ::close(epoll);
    client.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return client;
}

double cpu_seconds(const rusage& usage) {
    const auto seconds = [](const timeval& at) {
        return static_cast<double>(at.tv_sec) + static_cast<double>(at.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// Runs the script in a child, reads it with this process, and prints both.
void measure(const char* title, const std::string& script, int streams) {
    auto program = serde::read_mock_script(script, title);
    auto server = mock::Server::open(std::move(*program), {.compact = true});
    if (!server) {
        std::printf("%s: %s\n", title, server.error().message.c_str());
        return;
    }
    std::array<int, 2> pipe{};
    if (::pipe(pipe.data()) != 0) return;
    const pid_t child = ::fork();
    if (child == 0) {
        (*server)->run();
        const mock::Truth& truth = (*server)->truth();
        std::printf("%s: server: %llu requests, %llu writes, late p50 %.3f ms, p99 %.3f ms, max %.3f ms\n", title,
                    static_cast<unsigned long long>(truth.total_requests),
                    static_cast<unsigned long long>(truth.total_writes),
                    static_cast<double>(truth.late.quantile(0.5)) / 1e6,
                    static_cast<double>(truth.late.quantile(0.99)) / 1e6, static_cast<double>(truth.late.max_ns) / 1e6);
        std::fflush(stdout);
        std::_Exit(0);
    }
    const Client client = read_streams((*server)->port(), streams);
    (*server)->stop();
    rusage usage{};
    ::wait4(child, nullptr, 0, &usage);
    std::printf("%s: client: opened %d, ended %d, failed %d, %.2f s, %llu events, %.0f events/s, %.0f MB/s\n", title,
                client.opened, client.ended, client.failed, client.seconds,
                static_cast<unsigned long long>(client.events), static_cast<double>(client.events) / client.seconds,
                static_cast<double>(client.bytes) / 1e6 / client.seconds);
    std::printf("%s: server: %.2f s CPU, %ld MiB\n", title, cpu_seconds(usage), usage.ru_maxrss / 1024);
    std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
    const int streams = argc > 1 ? std::atoi(argv[1]) : 10'000;
    const int seconds = argc > 2 ? std::atoi(argv[2]) : 20;
    measure("streams", "{\"steps\": [{\"dt_ms\": 200, \"repeat\": " + std::to_string(seconds * 5) + "}]}", streams);
    measure("full speed", R"({"steps": [{"repeat": 500000}]})", 8);
}
