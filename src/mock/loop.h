#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "mock/http_request.h"
#include "mock/plan.h"
#include "mock/server.h"

namespace velollm::mock {

/// One request being answered.
struct Exchange {
    Plan plan;
    TruthRequest truth;
    std::size_t next = 0;  ///< first write that isn't complete
    std::size_t sent = 0;  ///< bytes of the plan
    bool generation = false;
    bool waiting = false;           ///< for a slot
    bool attempted = false;         ///< the next write is in the truth, and some of its bytes are not out yet
    std::int64_t unblocked_ns = 0;  ///< when the client last made room
};

struct Connection {
    int fd = -1;
    std::uint64_t serial = 0;
    std::uint64_t requests = 0;
    std::int64_t read_ns = 0;  ///< when the last read() had returned
    std::string input;
    bool watches_output = false;
    bool told_to_continue = false;
    std::optional<Exchange> exchange;
};

struct Timer {
    std::int64_t due_ns = 0;
    int fd = -1;
    std::uint64_t serial = 0;
    std::uint64_t request = 0;
    bool operator>(const Timer& other) const { return due_ns > other.due_ns; }
};

/// The loop of one thread: connections by descriptor, a heap of the next planned instants.
struct Server::Loop {
    Program program;
    ServerOptions options;
    Truth truth;
    int listener = -1;
    int epoll = -1;
    int stopper = -1;
    int port = 0;
    bool stopped = false;
    bool accepting = true;
    std::int64_t opened_ns = 0;
    std::int64_t generations = 0;
    std::int64_t active = 0;
    std::uint64_t serials = 0;
    bool loaded = false;
    std::vector<std::unique_ptr<Connection>> connections;  ///< by descriptor
    std::deque<Timer> waiting;                             ///< for a slot, in the order they came
    std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers;

    ~Loop();
    Result<void> open();
    void run();

    // loop.cpp: descriptors and time
    void watch(int fd, std::uint32_t events, bool add) const;
    void accept_all();
    void fire_due();
    void wait();
    void dispatch(int fd, std::uint32_t events);
    bool read_input(Connection& connection);
    void close_connection(Connection& connection, const char* end);
    Connection* find(const Timer& timer);

    // exchange.cpp: requests and answers
    void pump(Connection& connection);
    bool take_request(Connection& connection);
    void answer(Connection& connection, HttpRequest request);
    void answer_generation(Connection& connection, const HttpRequest& request, Wire wire);
    Plan truth_reply(const HttpRequest& request);
    bool send_due(Connection& connection);
    bool finish(Connection& connection);
    void record(Exchange& exchange, const char* end);
    void give_slot();
};

}  // namespace velollm::mock
