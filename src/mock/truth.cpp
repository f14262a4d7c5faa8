#include "mock/truth.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

namespace velollm::mock {
namespace {

// Sixteen buckets for each power of two; below 16 ns one for each value.
constexpr std::uint64_t kSub = 16;

std::size_t bucket_of(std::uint64_t value) {
    if (value < kSub) return value;
    const auto shift = static_cast<std::uint64_t>(59 - std::countl_zero(value));
    return (shift + 1) * kSub + ((value >> shift) - kSub);
}

std::uint64_t upper_edge(std::size_t bucket) {
    if (bucket < kSub) return bucket;
    const std::uint64_t shift = bucket / kSub - 1;
    return ((bucket % kSub + kSub + 1) << shift) - 1;
}

}  // namespace

void Lateness::add(std::int64_t late_ns) {
    const std::int64_t late = std::max<std::int64_t>(late_ns, 0);
    counts[std::min(bucket_of(static_cast<std::uint64_t>(late)), counts.size() - 1)]++;
    ++n;
    max_ns = std::max(max_ns, late);
}

std::int64_t Lateness::quantile(double q) const {
    const auto rank = static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(n)));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        seen += counts[i];
        if (seen >= rank && seen > 0) return std::min(static_cast<std::int64_t>(upper_edge(i)), max_ns);
    }
    return 0;
}

void Truth::add(TruthRequest request) {
    ++total_requests;
    requests.push_back(std::move(request));
    if (requests.size() > keep) {
        requests.pop_front();
        ++dropped;
    }
}

void Truth::clear() {
    requests.clear();
    dropped = total_requests = total_writes = connections = 0;
    late = {};
}

void write_json(base::JsonWriter& json, const TruthRequest& request) {
    json.begin_object();
    json.field("index", request.index).field("connection", request.connection).field("reused", request.reused);
    json.field("method", request.method).field("path", request.path);
    json.key("headers").begin_object();
    for (const auto& [name, value] : request.headers) json.field(name, value);
    json.end_object();
    json.field("body", request.body).field("prompt_hash", fmt::format("{:016x}", request.prompt_hash));
    json.field("prompt_start", request.prompt_start);
    json.field("read_ns", request.read_ns).field("start_ns", request.start_ns).field("status", request.status);
    json.field("end", request.end).field("end_ns", request.end_ns);
    json.field("tokens", request.tokens).field("events", request.events);
    json.field("first_token_ns", request.first_token_ns).field("last_token_ns", request.last_token_ns);
    json.field("late_max_ns", request.late_max_ns);
    json.key("writes").begin_array();
    for (const TruthWrite& write : request.writes) {
        json.begin_object();
        json.field("planned_ns", write.planned_ns).field("written_ns", write.written_ns);
        json.field("events", static_cast<std::uint64_t>(write.events));
        json.field("tokens", static_cast<std::uint64_t>(write.tokens)).field("bytes", write.bytes);
        if (write.blocked) json.field("blocked", true);
        json.end_object();
    }
    json.end_array().end_object();
}

std::string truth_json(const Truth& truth) {
    base::JsonWriter json;
    json.begin_object().key("server").begin_object();
    json.field("requests", truth.total_requests).field("writes", truth.total_writes);
    json.field("connections", truth.connections).field("dropped", truth.dropped);
    json.key("late_ns").begin_object();
    json.field("n", truth.late.n).field("p50", truth.late.quantile(0.5)).field("p99", truth.late.quantile(0.99));
    json.field("max", truth.late.max_ns).end_object().end_object();
    json.key("requests").begin_array();
    for (const TruthRequest& request : truth.requests) write_json(json, request);
    return json.end_array().end_object().text();
}

}  // namespace velollm::mock
