#pragma once

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace velollm::bench {

struct RawRequest {
    int id = 0;
    std::int64_t sent = 0;
    std::int64_t count = 0;
    std::vector<std::int64_t> events;
};

/// As little as a client can do and still know when tokens came: recv, a stamp, and a search for one word. It reads
/// neither JSON nor HTTP, keeps its connections, and is what this machine allows.
class RawClient {
public:
    RawClient(int port, int total, int streams, bool count_only)
        : port_(port), total_(total), streams_(streams), count_only_(count_only), buffer_(1 << 18) {}

    std::vector<RawRequest> requests;
    int failed = 0;

    template <typename PromptText>
    void run(PromptText prompt) {
        epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
        requests.resize(static_cast<std::size_t>(total_));
        connections_.resize(static_cast<std::size_t>(std::min(streams_, total_)));
        for (Connection& connection : connections_) {
            connect(connection);
            send_next(connection, prompt);
        }
        std::array<epoll_event, 512> events{};
        while (done_ + failed < total_) {
            const int n = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 60'000);
            if (n <= 0) break;
            for (int i = 0; i < n; ++i) {
                Connection& connection = *static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr);
                if (!read(connection)) continue;
                ++done_;
                if (next_ < total_) send_next(connection, prompt);
            }
        }
        for (const Connection& connection : connections_) ::close(connection.fd);
        ::close(epoll_);
    }

private:
    struct Connection {
        int fd = -1;
        RawRequest* request = nullptr;
        bool ended = false;  ///< its last answer is complete: the server may close
        std::array<char, 7> tail{};
    };

    static std::int64_t now_ns() {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
            .count();
    }

    void connect(Connection& connection) const {
        connection.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(static_cast<std::uint16_t>(port_));
        ::connect(connection.fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
        const int on = 1;
        ::setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = &connection;
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event);
    }

    template <typename PromptText>
    void send_next(Connection& connection, PromptText prompt) {
        connection.request = &requests[static_cast<std::size_t>(next_)];
        connection.request->id = next_;
        connection.ended = false;
        const std::string body = fmt::format(
            R"({{"model":"mock","messages":[{{"role":"user","content":"{}"}}],"max_tokens":64,"stream":true,)"
            R"("stream_options":{{"include_usage":true}}}})",
            prompt(next_++));
        const std::string text = fmt::format(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\n"
            "Content-Length: {}\r\n\r\n{}",
            port_, body.size(), body);
        connection.request->sent = now_ns();
        if (::send(connection.fd, text.data(), text.size(), MSG_NOSIGNAL) < 0) ++failed;
    }

    /// True when the answer has come to its end.
    bool read(Connection& connection) {
        const ssize_t got = ::recv(connection.fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
        const std::int64_t at = now_ns();
        if (got <= 0) {
            if (!connection.ended) ++failed;
            ::epoll_ctl(epoll_, EPOLL_CTL_DEL, connection.fd, nullptr);
            return false;
        }
        const auto size = static_cast<std::size_t>(got);
        const std::string_view text(buffer_.data(), size);
        constexpr std::string_view kToken = R"("delta":{"content":)";
        for (std::size_t i = text.find(kToken); i != std::string_view::npos; i = text.find(kToken, i + kToken.size())) {
            ++connection.request->count;
            if (!count_only_) connection.request->events.push_back(at);
        }
        const std::size_t keep = std::min(size, connection.tail.size());
        std::memmove(connection.tail.data(), connection.tail.data() + keep, connection.tail.size() - keep);
        std::memcpy(connection.tail.data() + connection.tail.size() - keep, text.data() + size - keep, keep);
        return connection.ended = std::string_view(connection.tail.data(), connection.tail.size()) == "\r\n0\r\n\r\n";
    }

    int port_;
    int total_;
    int streams_;
    bool count_only_;
    int epoll_ = -1;
    int next_ = 0;
    int done_ = 0;
    std::vector<char> buffer_;
    std::vector<Connection> connections_;
};

}  // namespace velollm::bench
