#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "base/json_writer.h"

namespace velollm::mock {

/// Times are CLOCK_MONOTONIC in ns, which all processes of a host share.
struct TruthWrite {
    std::int64_t planned_ns = 0;
    std::int64_t written_ns = 0;  ///< just before the write()
    std::uint32_t events = 0;     ///< events with tokens that are complete with this write
    std::uint32_t tokens = 0;
    std::uint64_t bytes = 0;
    bool blocked = false;  ///< the client didn't read fast enough: the socket's buffer was full
};

/// How late the server was against its own plan. Fixed size; quantiles are right within 5 %, the maximum is exact.
/// Writes that a slow reader held up are not in it.
struct Lateness {
    std::array<std::uint64_t, 1024> counts{};
    std::uint64_t n = 0;
    std::int64_t max_ns = 0;

    void add(std::int64_t late_ns);
    /// Upper edge of the bucket in which the nearest rank lies; 0 when empty.
    std::int64_t quantile(double q) const;
};

/// One generate request as it really went.
struct TruthRequest {
    std::int64_t index = 0;
    std::uint64_t connection = 0;
    bool reused = false;  ///< not the first request on its connection
    std::string method;
    std::string path;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    std::uint64_t prompt_hash = 0;  ///< FNV-1a of the prompt
    std::string prompt_start;       ///< its first 64 bytes or so, where a nonce would be
    std::int64_t read_ns = 0;       ///< the read() that brought the last byte of the request had returned
    std::int64_t start_ns = 0;      ///< the plan counts from here: read_ns, or when a slot became free
    int status = 0;
    std::string end;  ///< "done", "closed", "reset", "client_gone" or "stopped"
    std::int64_t end_ns = 0;
    std::vector<TruthWrite> writes;  ///< empty in compact mode
    std::int64_t tokens = 0;         ///< that were handed to the kernel
    std::int64_t events = 0;
    std::int64_t first_token_ns = 0;  ///< written_ns of the first write with tokens; 0: none
    std::int64_t last_token_ns = 0;
    std::int64_t late_max_ns = 0;
};

/// What the server did. Keeps the newest `keep` finished requests, so that a long run doesn't fill the memory.
struct Truth {
    std::deque<TruthRequest> requests;
    std::size_t keep = 20'000;
    std::uint64_t dropped = 0;
    std::uint64_t total_requests = 0;
    std::uint64_t total_writes = 0;
    std::uint64_t connections = 0;
    Lateness late;

    void add(TruthRequest request);
    void clear();
};

/// One line of the log and one element of /mock/truth.
void write_json(base::JsonWriter& json, const TruthRequest& request);
/// {"server": {...}, "requests": [...]}
std::string truth_json(const Truth& truth);

}  // namespace velollm::mock
