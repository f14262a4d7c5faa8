#pragma once

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <thread>
#include <vector>

namespace velollm::bench {

/// Answers each connection once, with the same bytes as fast as the kernel takes them: an OpenAI chat stream of
/// `events` tokens, an HTTP chunk each. It makes no text while it sends, so that the client is what is measured.
class BlastServer {
public:
    BlastServer(int events, int connections) : connections_(connections) {
        const std::string event =
            "data: {\"id\":\"chatcmpl-2unEGORpKilHKpFcR3bW7nhOJxcH9p9y\",\"object\":\"chat.completion.chunk\","
            "\"created\":1795490911,\"model\":\"smollm2:135m\",\"system_fingerprint\":\"fp_ollama\",\"choices\":"
            "[{\"index\":0,\"delta\":{\"content\":\" token\"},\"finish_reason\":null}]}\n\n";
        const std::string chunk = fmt::format("{:x}\r\n{}\r\n", event.size(), event);
        constexpr int kInOne = 256;
        for (int i = 0; i < kInOne; ++i) block_ += chunk;
        blocks_ = events / kInOne;
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
        ::listen(listener_, 64);
        socklen_t size = sizeof address;
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
        port_ = ntohs(address.sin_port);
    }
    ~BlastServer() { ::close(listener_); }
    BlastServer(const BlastServer&) = delete;
    BlastServer& operator=(const BlastServer&) = delete;

    int port() const { return port_; }

    void run() const {
        std::signal(SIGPIPE, SIG_IGN);
        std::vector<std::thread> threads;
        for (int i = 0; i < connections_; ++i)
            threads.emplace_back([this] { answer(::accept(listener_, nullptr, nullptr)); });
        for (std::thread& thread : threads) thread.join();
    }

private:
    void answer(int fd) const {
        std::string request(65'536, '\0');
        if (::recv(fd, request.data(), request.size(), 0) <= 0) return;
        send_all(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (int i = 0; i < blocks_; ++i) send_all(fd, block_);
        send_all(fd, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
        ::shutdown(fd, SHUT_WR);
        ::recv(fd, request.data(), request.size(), 0);
        ::close(fd);
    }

    static void send_all(int fd, const std::string& bytes) {
        for (std::size_t at = 0; at < bytes.size();) {
            const ssize_t sent = ::send(fd, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
            if (sent <= 0) return;
            at += static_cast<std::size_t>(sent);
        }
    }

    int connections_;
    int blocks_ = 0;
    int listener_ = -1;
    int port_ = 0;
    std::string block_;
};

}  // namespace velollm::bench
