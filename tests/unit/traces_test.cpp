// Recorded replies of the real servers, replayed through transport, framing, dialect and load engine.

#include <gtest/gtest.h>

#include "metrics/request.h"
#include "support/trace.h"

namespace velollm::backend {
namespace traces_test {

using test::read_trace;
using test::replay;
using namespace std::chrono_literals;

struct Row {
    const char* file;
    std::size_t events;
    std::int64_t tokens;
    std::int64_t hidden;
    FinishReason finish;
    std::int64_t prompt_tokens;
    std::int64_t first_us;  ///< time of the first token in the recording
    std::int64_t last_us;
};

const Row kRows[] = {
    {"ollama-0.24.0/generate_stream_length.jsonl", 48, 48, 0, FinishReason::kLength, 16, 0, 0},
    {"ollama-0.32.15/generate_stream_length.jsonl", 48, 48, 0, FinishReason::kLength, 16, 0, 613480},
    {"ollama-0.24.0/chat_stream_natural_stop.jsonl", 15, 16, 1, FinishReason::kStop, 22, 0, 0},
    {"ollama-0.32.15/chat_stream_natural_stop.jsonl", 7, 8, 1, FinishReason::kStop, 22, 0, 155714},
    {"ollama-0.24.0/chat_stream_length.jsonl", 24, 24, 0, FinishReason::kLength, 19, 0, 0},
    {"ollama-0.24.0/generate_raw_utf8.jsonl", 24, 64, 0, FinishReason::kLength, 58, 0, 0},
    {"ollama-0.32.15/generate_raw_utf8.jsonl", 40, 64, 0, FinishReason::kLength, 58, 0, 0},
    {"llama-server-0.5.0/completion_sse_length.jsonl", 48, 48, 0, FinishReason::kLength, 7, 589631, 2711231},
    {"llama-server-0.5.0/completion_sse_utf8.jsonl", 0, 64, 2, FinishReason::kLength, 0, 0, 0},
};

const Dialect& dialect_for(const std::string& file) {
    return file.starts_with("ollama") ? ollama_dialect() : llama_server_dialect();
}

TEST(Traces, RecordedRepliesGiveTheServersOwnCounts) {
    for (const Row& row : kRows) {
        const RequestRecord r = replay(dialect_for(row.file), read_trace(row.file));
        EXPECT_EQ(r.outcome, Outcome::kOk) << row.file << ": " << r.error.message;
        EXPECT_EQ(r.server.output_tokens, row.tokens) << row.file;
        EXPECT_EQ(r.server.hidden_tokens, row.hidden) << row.file;
        EXPECT_EQ(r.server.finish, row.finish) << row.file;
        if (row.events != 0) {
            EXPECT_EQ(r.events.size(), row.events) << row.file;
        }
        if (row.prompt_tokens != 0) {
            EXPECT_EQ(r.server.prompt_tokens, row.prompt_tokens) << row.file;
        }
        ASSERT_FALSE(r.events.empty()) << row.file;
        if (row.first_us != 0) {
            EXPECT_EQ(r.events.front().at, std::chrono::microseconds(row.first_us)) << row.file;
        }
        if (row.last_us != 0) {
            EXPECT_EQ(r.events.back().at, std::chrono::microseconds(row.last_us)) << row.file;
        }
    }
}

TEST(Traces, AnyCutOfTheBytesGivesTheSameRecord) {
    for (const char* file :
         {"ollama-0.32.15/generate_raw_utf8.jsonl", "llama-server-0.5.0/completion_sse_utf8.jsonl"}) {
        const RequestRecord whole = replay(dialect_for(file), read_trace(file));
        for (const std::size_t piece : {1U, 2U, 3U, 7U, 64U}) {
            const RequestRecord cut = replay(dialect_for(file), read_trace(file, piece));
            EXPECT_EQ(cut.text_hash, whole.text_hash) << file << piece;
            ASSERT_EQ(cut.events.size(), whole.events.size()) << file << piece;
            for (std::size_t i = 0; i < whole.events.size(); ++i) EXPECT_EQ(cut.events[i].at, whole.events[i].at);
        }
    }
}

TEST(Traces, LlamaServerSendsItsHeaderAtOnceAndThatIsNoToken) {
    const RequestRecord r =
        replay(llama_server_dialect(), read_trace("llama-server-0.5.0/completion_sse_length.jsonl"));
    EXPECT_EQ(r.first_byte, Ns(446us));
    EXPECT_EQ(r.events.front().at, Ns(589631us));
    EXPECT_EQ(r.events.front().tokens, 1);
    EXPECT_EQ(metrics::token_source(r), TokenSource::kRunningCount);
}

TEST(Traces, AnEventThatFreesHeldBackTextCarriesAllItsTokens) {
    // Chinese and emoji are several tokens a character; llama-server lists only the last id of each event.
    const RequestRecord r = replay(llama_server_dialect(), read_trace("llama-server-0.5.0/completion_sse_utf8.jsonl"));
    std::int64_t sum = 0;
    for (const TokenStamp& event : r.events) sum += event.tokens.value();
    EXPECT_EQ(sum, 62);
    EXPECT_EQ(r.events.size(), 40u);
    EXPECT_EQ(r.server.hidden_tokens, 2) << "the first two thirds of a last character were never sent";
}

TEST(Traces, AStopWordAndAnEndTokenHaveEventsOfTheirOwnInLlamaServer) {
    const auto word = replay(llama_server_dialect(), read_trace("llama-server-0.5.0/completion_sse_stop_word.jsonl"));
    EXPECT_EQ(word.server.output_tokens, 11);
    EXPECT_EQ(word.server.hidden_tokens, 0);
    const auto end = replay(llama_server_dialect(), read_trace("llama-server-0.5.0/completion_sse_nonce_front.jsonl"));
    EXPECT_EQ(end.server.output_tokens, 1);
    EXPECT_EQ(end.server.hidden_tokens, 0);
}

TEST(Traces, PromptProgressIsNoToken) {
    const RequestRecord r =
        replay(llama_server_dialect(), read_trace("llama-server-0.5.0/completion_sse_return_progress.jsonl"));
    ASSERT_FALSE(r.events.empty());
    EXPECT_GT(r.events.front().at, Ns(1s)) << "the progress event came after 10 ms, the first token after seconds";
}

TEST(Traces, LlamaServerReportsTheCachedPartOfThePrompt) {
    const auto cached = [](const char* file) {
        return replay(llama_server_dialect(), read_trace(std::string("llama-server-0.5.0/") + file))
            .server.cached_tokens;
    };
    EXPECT_EQ(cached("completion_sse_repeat_prompt.jsonl"), 6);
    EXPECT_EQ(cached("completion_sse_cache_prompt_false.jsonl"), 0);
}

TEST(Traces, OllamaSaysNothingOfItsCache) {
    const RequestRecord r = replay(ollama_dialect(), read_trace("ollama-0.32.15/generate_stream_repeat_prompt.jsonl"));
    EXPECT_EQ(r.server.cached_tokens, std::nullopt);
    EXPECT_EQ(r.server.prompt_tokens, 16);
}

TEST(Traces, ARefusedPromptIsAnErrorWithTheServersWordsAndTheWayOut) {
    for (const char* version : {"ollama-0.24.0", "ollama-0.32.15"}) {
        const RequestRecord r =
            replay(ollama_dialect(), read_trace(std::string(version) + "/context_overflow_truncate_false.jsonl"));
        EXPECT_EQ(r.outcome, Outcome::kError) << version;
        EXPECT_NE(r.error.message.find("exceeds the"), std::string::npos) << r.error.message;
        EXPECT_EQ(r.error.message.find('{'), std::string::npos)
            << "the nested JSON is taken apart: " << r.error.message;
        EXPECT_NE(r.error.hint.find("--num-ctx"), std::string::npos) << version;
    }
}

TEST(Traces, AMissingModelIsSaidSo) {
    for (const char* version : {"ollama-0.24.0", "ollama-0.32.15"}) {
        const RequestRecord r =
            replay(ollama_dialect(), read_trace(std::string(version) + "/error_unknown_model.jsonl"));
        EXPECT_EQ(r.outcome, Outcome::kError);
        EXPECT_EQ(r.error.code, ErrorCode::kModelNotFound);
        EXPECT_EQ(r.error.message, "Model not found: smollm2:135m");
    }
}

}  // namespace traces_test
}  // namespace velollm::backend
