#pragma once

#include <velollm/backend.h>
#include <velollm/time.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace velollm::http {

using StreamId = std::uint64_t;

struct HttpRequest {
    std::string method = "GET";
    std::string url;
    std::vector<std::string> headers;  ///< whole lines, "Name: value"
    std::string body;
    /// Measured requests: never sent a second time behind our back, as happens when a kept connection breaks.
    bool once = false;
    /// On a connection of its own, which ends with it.
    bool fresh = false;
    Ns connect_timeout = std::chrono::seconds(5);
    std::size_t longest_answer = std::size_t{16} << 20U;  ///< in bytes; asked by Caller
};

enum class TransportFailure {
    kNone,
    kRefused,  ///< nothing listens there
    kName,     ///< the host name has no address
    kConnect,  ///< any other failure to connect, time-out included
    kTls,
    kNotHttp,  ///< something answered, and not in HTTP
    kBroken,   ///< the connection ended before the reply did
    kOther,
};

struct TransportEnd {
    TransportFailure failure = TransportFailure::kNone;
    std::string detail;  ///< the library's words, one line
};

/// Receives one exchange, in time order, on the thread that polls. Every stamp is taken as the bytes come in, before
/// anybody looks at them.
struct ByteSink {
    virtual ~ByteSink() = default;
    /// Connected, and about to write the first byte of the request. `connecting`: name, TCP and TLS; absent when the
    /// connection was kept from an earlier request.
    virtual void on_sending(StreamId, TimePoint, std::optional<Ns> connecting) = 0;
    virtual void on_status(StreamId, TimePoint, int status) = 0;
    virtual void on_bytes(StreamId, TimePoint, std::string_view) = 0;
    /// Exactly once, last; not for a cancelled stream.
    virtual void on_end(StreamId, TimePoint, const TransportEnd&) = 0;
};

/// How reading went.
struct TransportHealth {
    std::int64_t reads = 0;      ///< that brought something of an answer's body
    std::optional<ReadLag> lag;  ///< absent where the kernel doesn't stamp what arrives
};

/// Carries HTTP exchanges. One thread uses it.
struct HttpTransport {
    virtual ~HttpTransport() = default;
    virtual StreamId start(const HttpRequest&, ByteSink&) = 0;
    /// Closes the stream; its sink hears nothing more. Allowed inside a sink's call.
    virtual void cancel(StreamId) = 0;
    /// Waits for bytes and hands them out, until `until` or until anything happened. A signal ends the wait.
    virtual void poll(TimePoint until) = 0;
    /// What was read since the last time this was asked. A transport that doesn't count says nothing.
    virtual TransportHealth take_health() { return {}; }
};

struct HttpResponse {
    int status = 0;
    std::string body;
    TransportEnd end;
    bool timed_out = false;
    bool interrupted = false;  ///< the user asked to stop
    bool too_large = false;    ///< longer than the request allows: cut off

    /// The exchange came to its end, whatever its status.
    bool arrived() const { return !timed_out && !interrupted && end.failure == TransportFailure::kNone; }
};

/// Whole exchanges, one after the other, over a transport that may be carrying streams beside them.
class Caller {
public:
    /// `stop` may be empty; true ends an exchange.
    Caller(HttpTransport& transport, Clock& clock, const std::function<bool()>& stop)
        : transport_(transport), clock_(clock), stop_(stop) {}

    /// Waits at most `timeout` for the end of the answer.
    HttpResponse operator()(const HttpRequest& request, Ns timeout) const;
    /// Lets time pass.
    void wait(Ns time) const;

private:
    HttpTransport& transport_;
    Clock& clock_;
    const std::function<bool()>& stop_;
};

}  // namespace velollm::http
