#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "mock/discovery.h"
#include "mock/loop.h"
#include "mock/render.h"
#include "mock/sockets.h"

namespace velollm::mock {
namespace {

constexpr std::size_t kBatchBytes = 64 << 10;
// Then the others have their turn.
constexpr int kWritesInARow = 16;
constexpr std::size_t kPromptStart = 64;
constexpr const char* kJson = "application/json; charset=utf-8";

Plan refuse(Wire wire, int status, const char* message, bool keep_alive) {
    return plain_plan(wire, status, kJson, error_body(wire, status, message), keep_alive);
}

}  // namespace

void Server::Loop::pump(Connection& connection) {
    for (;;) {
        if (!connection.exchange && !take_request(connection)) return;
        if (!send_due(connection)) return;
        if (!finish(connection)) return;
    }
}

/// Starts the answer to the next complete request in the input; false when there is none.
bool Server::Loop::take_request(Connection& connection) {
    if (connection.input.empty()) return false;
    ParsedRequest parsed = parse_request(connection.input);
    if (parsed.state == ParseState::kIncomplete) {
        if (parsed.expects_continue && !connection.told_to_continue) {
            connection.told_to_continue = true;
            constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
            ::send(connection.fd, kContinue.data(), kContinue.size(), MSG_NOSIGNAL);
        }
        return false;
    }
    connection.told_to_continue = false;
    ++connection.requests;
    if (parsed.state == ParseState::kBad) {
        connection.input.clear();
        connection.exchange.emplace().plan = refuse(Wire::kOpenaiChat, 400, "not an HTTP/1.1 request", false);
        connection.exchange->truth.start_ns = connection.read_ns;
        return true;
    }
    connection.input.erase(0, parsed.used);
    if (connection.input.empty()) connection.input.shrink_to_fit();
    answer(connection, std::move(parsed.request));
    return true;
}

void Server::Loop::answer(Connection& connection, HttpRequest request) {
    connection.exchange.emplace().truth.start_ns = connection.read_ns;
    const auto wire = wire_of_path(request.path);
    const bool loading = program.capacity.loading_until_ms > 0 &&
                         static_cast<double>(connection.read_ns - opened_ns) < program.capacity.loading_until_ms * 1e6;
    if (request.path == "/mock/truth") {
        connection.exchange->plan = truth_reply(request);
    } else if (loading) {
        connection.exchange->plan = refuse(wire.value_or(Wire::kOpenaiChat), 503, "Loading model", false);
    } else if (wire && request.method == "POST") {
        answer_generation(connection, request, *wire);
    } else {
        ServerState state{.model = program.model, .loaded = loaded, .active = active, .wall_ns = wall_now_ns()};
        if (program.capacity.slots > 0) state.slots = program.capacity.slots;
        connection.exchange->plan = discover(request, state);
    }
}

Plan Server::Loop::truth_reply(const HttpRequest& request) {
    std::string body = "{}";
    if (request.method == "GET") body = truth_json(truth);
    if (request.method == "DELETE" || request.query == "clear=1") truth.clear();
    return plain_plan(Wire::kOpenaiChat, 200, kJson, body, request.keep_alive);
}

void Server::Loop::answer_generation(Connection& connection, const HttpRequest& request, Wire wire) {
    Exchange& exchange = *connection.exchange;
    const bool keep = request.keep_alive;
    const auto asked = read_asked(wire, request.body);
    if (!asked) {
        exchange.plan = refuse(wire, 400, "the body is not JSON", keep);
        return;
    }
    const std::string& model = asked->model.empty() ? program.model : asked->model;
    const auto index = static_cast<std::size_t>(generations);
    const Script& script = program.requests[index % program.requests.size()];
    if (is_ollama(wire) && !asked->has_prompt) {
        exchange.plan = load_reply(wire, model, asked->unload ? "unload" : "load", wall_now_ns(), keep);
        if (!asked->unload && !loaded)
            exchange.plan.writes.front().due_ns = static_cast<std::int64_t>(script.load_ms * 1e6);
        loaded = !asked->unload;
        return;
    }
    if (script.wire != Wire::kAny && script.wire != wire) {
        exchange.plan = refuse(wire, 404, "the mock's script is for another kind of server", keep);
        return;
    }
    if (!asked->stream) {
        exchange.plan = refuse(wire, 400, "the mock only streams: ask for \"stream\": true", keep);
        return;
    }
    const bool full = program.capacity.slots > 0 && active >= program.capacity.slots;
    if (full && static_cast<std::int64_t>(waiting.size()) >= program.capacity.queue) {
        exchange.plan = refuse(wire, 503, "the queue is full", keep);
        return;
    }
    loaded = true;
    exchange.generation = true;
    exchange.waiting = full;
    exchange.plan = make_plan(
        script, wire, *asked,
        {.model = program.model, .index = generations, .wall_ns = wall_now_ns(), .keep_alive = request.keep_alive});
    TruthRequest& known = exchange.truth;
    known.index = generations++;
    known.connection = connection.serial;
    known.reused = connection.requests > 1;
    known.method = request.method;
    known.path = request.path;
    known.prompt_hash = base::fnv1a(asked->prompt);
    known.prompt_start = asked->prompt.substr(0, kPromptStart);
    known.read_ns = known.start_ns = connection.read_ns;
    known.status = exchange.plan.status;
    if (!options.compact) {
        known.headers = request.headers;
        known.body = request.body;
        known.writes.reserve(exchange.plan.writes.size());
    }
    if (!script.tcp.nodelay) set_nodelay(connection.fd, false);
    if (full) {
        waiting.push_back({.fd = connection.fd, .serial = connection.serial, .request = connection.requests});
    } else {
        ++active;
    }
}

/// Writes what is due; true when the whole answer is out. Otherwise a timer, the socket or a slot brings it on.
bool Server::Loop::send_due(Connection& connection) {
    Exchange& exchange = *connection.exchange;
    if (exchange.waiting || connection.watches_output) return false;
    const std::vector<PlannedWrite>& writes = exchange.plan.writes;
    TruthRequest& known = exchange.truth;
    for (int row = 0; exchange.next < writes.size(); ++row) {
        const std::int64_t planned = known.start_ns + writes[exchange.next].due_ns;
        std::int64_t now = steady_now_ns();
        if (planned > now || row == kWritesInARow) {
            timers.push({planned, connection.fd, connection.serial, connection.requests});
            return false;
        }
        std::size_t last = exchange.next;
        std::uint32_t events = writes[last].events;
        std::uint32_t tokens = writes[last].tokens;
        while (last + 1 < writes.size() && writes[last + 1].with_previous &&
               known.start_ns + writes[last + 1].due_ns <= now && writes[last].end - exchange.sent < kBatchBytes) {
            ++last;
            events += writes[last].events;
            tokens += writes[last].tokens;
        }
        const std::size_t bytes = writes[last].end - exchange.sent;
        now = steady_now_ns();
        const ssize_t n = ::send(connection.fd, exchange.plan.bytes.data() + exchange.sent, bytes, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            close_connection(connection, "client_gone");
            return false;
        }
        const bool partial = n < static_cast<ssize_t>(bytes);
        const bool blocked = partial || exchange.attempted || planned < exchange.unblocked_ns;
        // Of what is due together only the first can be on time: the rest is as late as the socket is slow.
        if (exchange.generation && !blocked && !writes[exchange.next].with_previous) {
            truth.late.add(now - planned);
            known.late_max_ns = std::max(known.late_max_ns, now - planned);
        }
        if (exchange.generation) ++truth.total_writes;
        const auto gone = static_cast<std::size_t>(std::max<ssize_t>(n, 0));
        exchange.sent += gone;
        // Of a write in parts, the last part completes the events.
        std::size_t done = exchange.next;
        if (partial) {
            events = tokens = 0;
            for (; done < last && writes[done].end <= exchange.sent; ++done) {
                events += writes[done].events;
                tokens += writes[done].tokens;
            }
        } else {
            done = last + 1;
        }
        exchange.next = done;
        exchange.attempted = partial;
        known.events += events;
        known.tokens += tokens;
        if (tokens > 0) known.last_token_ns = now;
        if (tokens > 0 && known.first_token_ns == 0) known.first_token_ns = now;
        if (!options.compact && exchange.generation && (gone > 0 || !partial))
            known.writes.push_back({planned, now, events, tokens, gone, blocked});
        if (partial) {
            connection.watches_output = true;
            watch(connection.fd, EPOLLIN | EPOLLOUT, false);
            return false;
        }
    }
    return true;
}

/// What follows the last byte; true when the connection goes on with another request.
bool Server::Loop::finish(Connection& connection) {
    switch (connection.exchange->plan.end) {
        case PlanEnd::kStall: return false;
        case PlanEnd::kKeep:
            record(*connection.exchange, "done");
            connection.exchange.reset();
            give_slot();
            return true;
        case PlanEnd::kReset:
            reset_on_close(connection.fd);
            close_connection(connection, "reset");
            return false;
        case PlanEnd::kClose: close_connection(connection, "closed"); return false;
    }
    return false;
}

void Server::Loop::record(Exchange& exchange, const char* end) {
    if (!exchange.generation) return;
    if (!exchange.waiting) --active;
    exchange.generation = false;
    exchange.truth.end = end;
    exchange.truth.end_ns = steady_now_ns();
    if (options.on_finished) options.on_finished(exchange.truth);
    truth.add(std::move(exchange.truth));
}

/// The next in the queue takes what is free. Its plan starts now.
void Server::Loop::give_slot() {
    while (!waiting.empty() && active < program.capacity.slots) {
        const Timer first = waiting.front();
        waiting.pop_front();
        Connection* connection = find(first);
        if (connection == nullptr) continue;
        ++active;
        connection->exchange->waiting = false;
        const std::int64_t now = steady_now_ns();
        connection->exchange->truth.start_ns = now;
        timers.push({now, connection->fd, connection->serial, connection->requests});
    }
}

}  // namespace velollm::mock
