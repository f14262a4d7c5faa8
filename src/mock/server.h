#pragma once

#include <velollm/result.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "mock/truth.h"
#include "serde/mock_script.h"

namespace velollm::mock {

struct ServerOptions {
    int port = 0;          ///< 0: the kernel chooses
    bool compact = false;  ///< no headers, bodies and single writes in the truth, for runs with many requests
    /// run() also ends when this can be read or its other end is closed, as of a pipe to the process that started it.
    int stop_fd = -1;
    std::int64_t spin_ns = 80'000;                         ///< the last part of a wait is spun, since a sleep ends late
    std::function<void(const TruthRequest&)> on_finished;  ///< called inside run()
};

/// A server on 127.0.0.1 that answers as its script says, and knows what it really did.
///
/// Every write has an absolute planned instant: the instant at which the last byte of the request had been read, plus
/// the script's times. One that is late delays no other. Truth's stamps are steady-clock ns taken just before the
/// write, so a client of the same host can never have seen the bytes earlier.
///
/// Threads: open() and run() may be on different threads, or run() in a forked child; stop() may be called from
/// anywhere, a signal handler included. truth() is for the thread of run(), or for after it has returned; meanwhile
/// others ask GET /mock/truth.
class Server {
public:
    /// Listens when it returns: connections made before run() are answered by it.
    static Result<std::unique_ptr<Server>> open(Program program, ServerOptions options = {});
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    int port() const;
    std::string url() const;  ///< "http://127.0.0.1:PORT"
    void run();
    void stop();
    const Truth& truth() const;

    struct Loop;

private:
    explicit Server(std::unique_ptr<Loop> loop);
    std::unique_ptr<Loop> loop_;
};

}  // namespace velollm::mock
