// From bytes to records without a network: transport's pieces -> splitter -> JSON -> dialect -> recorder.
//
//   hot_path [--benchmark_filter=openai]
//
// Replies as real servers write them. "reads": pieces of 16 KiB, as a socket is read; "chunks": a piece an event, as
// libcurl hands over the chunks of HTTP. Items per second are token events per second on one core.

#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include <array>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backend/http_backend.h"
#include "load/engine.h"
#include "load/schedule.h"
#include "system/system.h"
#include "wire/url.h"

namespace {

using namespace velollm;

constexpr int kTokens = 10'000;

/// Answers every request with the same bytes, a piece per poll.
class ReplayTransport final : public http::HttpTransport {
public:
    ReplayTransport(const std::vector<std::string>& pieces, Clock& clock) : pieces_(pieces), clock_(clock) {}

    http::StreamId start(const http::HttpRequest&, http::ByteSink& sink) override {
        sink_ = &sink;
        next_ = 0;
        return ++id_;
    }
    void cancel(http::StreamId) override {}
    void poll(TimePoint) override {
        if (next_ == 0) {
            sink_->on_sending(id_, clock_.now(), std::nullopt);
            sink_->on_status(id_, clock_.now(), 200);
        }
        // As many as a wake-up of a busy stream brings.
        for (int i = 0; i < 64 && next_ < pieces_.size(); ++i) sink_->on_bytes(id_, clock_.now(), pieces_[next_++]);
        if (next_ == pieces_.size()) sink_->on_end(id_, clock_.now(), {});
    }

private:
    const std::vector<std::string>& pieces_;
    Clock& clock_;
    http::ByteSink* sink_ = nullptr;
    std::size_t next_ = 0;
    http::StreamId id_ = 0;
};

/// Words as models write them: one in twelve has an escape, one in twelve is no ASCII.
constexpr std::array<std::string_view, 24> kWords = {
    " the", " hash",  " table", ",", " is", " a",    " of", " key",  " value", " map", "\\n",          "s",
    " and", " store", " find",  ".", " to", " that", " by", " data", " in",    "ing",  " caf\xC3\xA9", " \\\"",
};

std::string_view word(int i) {
    return kWords[static_cast<std::size_t>(i) % kWords.size()];
}

std::vector<std::string> openai_events() {
    std::vector<std::string> out;
    for (int i = 0; i < kTokens; ++i)
        out.push_back(fmt::format(
            R"(data: {{"id":"chatcmpl-2unEGORpKilHKpFcR3bW7nhOJxcH9p9y","object":"chat.completion.chunk","created":{},)"
            R"("model":"smollm2:135m","system_fingerprint":"fp_ollama","choices":[{{"index":0,"delta":{{"content":"{}"}},)"
            R"("finish_reason":null}}]}})"
            "\n\n",
            1795490911 + i / 100, word(i)));
    out.emplace_back("data: [DONE]\n\n");
    return out;
}

std::vector<std::string> llama_chat_events() {
    std::vector<std::string> out;
    for (int i = 0; i < kTokens; ++i)
        out.push_back(fmt::format(
            R"(data: {{"choices":[{{"finish_reason":null,"index":0,"delta":{{"content":"{}"}}}}],"created":{},)"
            R"("id":"chatcmpl-2unEGORpKilHKpFcR3bW7nhOJxcH9p9y","model":"smollm2-135m","system_fingerprint":"b1-0c1e570",)"
            R"("object":"chat.completion.chunk","timings":{{"cache_n":33,"prompt_n":1,"prompt_ms":15.565,)"
            R"("prompt_per_token_ms":15.565,"prompt_per_second":64.246707356248,"predicted_n":{},"predicted_ms":{},)"
            R"("predicted_per_token_ms":{},"predicted_per_second":{}}}}})"
            "\n\n",
            word(i), 1795490911 + i / 100, i + 1, 7.443 * (i + 1), 7.443 + 1e-7 * i, 134.35442697836893 - 1e-5 * i));
    out.emplace_back("data: [DONE]\n\n");
    return out;
}

std::vector<std::string> llama_events() {
    std::vector<std::string> out;
    for (int i = 0; i < kTokens; ++i)
        out.push_back(fmt::format(
            R"(data: {{"index":0,"content":"{}","tokens":[{}],"stop":false,"id_slot":-1,"tokens_predicted":{},)"
            R"("tokens_evaluated":7}})"
            "\n\n",
            word(i), 198 + i * 37 % 40'000, i + 1));
    out.push_back(fmt::format(R"(data: {{"index":0,"content":"","tokens":[],"stop":true,"tokens_predicted":{},)"
                              R"("tokens_evaluated":7,"stop_type":"limit"}})"
                              "\n\n",
                              kTokens));
    return out;
}

std::vector<std::string> ollama_events() {
    std::vector<std::string> out;
    for (int i = 0; i < kTokens; ++i)
        out.push_back(fmt::format(
            R"({{"model":"smollm2:135m","created_at":"2026-11-24T03:28:{:02}.{:09}Z","response":"{}","done":false}})"
            "\n",
            i / 100 % 60, (i * 10'007'919LL) % 1'000'000'000, word(i)));
    out.push_back(
        fmt::format(R"({{"model":"smollm2:135m","response":"","done":true,"done_reason":"length","eval_count":{}}})"
                    "\n",
                    kTokens));
    return out;
}

std::vector<std::string> in_reads(const std::vector<std::string>& events) {
    constexpr std::size_t kRead = std::size_t{16} << 10U;
    std::string all;
    for (const std::string& event : events) all += event;
    std::vector<std::string> out;
    for (std::size_t at = 0; at < all.size(); at += kRead) out.push_back(all.substr(at, kRead));
    return out;
}

void run(benchmark::State& state, const backend::Dialect& dialect, const std::vector<std::string>& pieces) {
    system::SteadyClock clock;
    backend::Target target{.spec = {.backend = std::string(dialect.kind), .model = "smollm2:135m"}};
    target.base = wire::parse_url("http://localhost:11434", 0).value();
    const auto backend =
        backend::make_http_backend(dialect, target, std::make_unique<ReplayTransport>(pieces, clock), clock);
    for (auto _ : state) {
        const Run run = load::run_load(load::closed_loop(1, 1), {{.text = "hi", .max_tokens = kTokens}}, *backend,
                                       clock, std::chrono::seconds(60), {});
        if (run.requests.at(0).events.size() != kTokens || run.requests.at(0).outcome != Outcome::kOk)
            state.SkipWithError(
                fmt::format("{} events, {}", run.requests.at(0).events.size(), run.requests.at(0).error.message)
                    .c_str());
    }
    std::size_t bytes = 0;
    for (const std::string& piece : pieces) bytes += piece.size();
    state.SetItemsProcessed(state.iterations() * kTokens);
    state.counters["bytes/event"] = static_cast<double>(bytes) / kTokens;
}

struct Reply {
    const char* name;
    const backend::Dialect& dialect;
    std::vector<std::string> events;
};

}  // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    const TargetSpec chat{.endpoint = "chat"};
    std::deque<Reply> replies;
    replies.push_back({"openai_chat", backend::openai_dialect(), openai_events()});
    replies.push_back({"llama_completion", backend::llama_server_dialect(), llama_events()});
    replies.push_back({"llama_chat_timings", backend::llama_server_dialect(chat), llama_chat_events()});
    replies.push_back({"ollama_generate", backend::ollama_dialect(), ollama_events()});
    std::deque<std::vector<std::string>> reads;
    for (const Reply& reply : replies) {
        const auto& pieces = reads.emplace_back(in_reads(reply.events));
        benchmark::RegisterBenchmark(fmt::format("{}/reads", reply.name).c_str(),
                                     [&](benchmark::State& state) { run(state, reply.dialect, pieces); });
        benchmark::RegisterBenchmark(fmt::format("{}/chunks", reply.name).c_str(),
                                     [&](benchmark::State& state) { run(state, reply.dialect, reply.events); });
    }
    benchmark::RunSpecifiedBenchmarks();
}
