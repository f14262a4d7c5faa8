#include "backend/started_llama_server.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

namespace velollm::backend {
namespace started_llama_server_test {

std::string words_of(const LlamaServerSpec& spec) {
    return fmt::format("{}", fmt::join(llama_server_words(spec, 4321), " "));
}

TEST(LlamaServerWords, TellThreadsAndContextInAnyCase) {
    EXPECT_EQ(words_of({.binary = "ls", .model_file = "m.gguf", .threads = 3}),
              "ls -m m.gguf --host 127.0.0.1 --port 4321 -c 4096 -t 3 -tb 3 -np 1 --no-webui");
}

TEST(LlamaServerWords, CarryEveryOption) {
    LlamaServerSpec spec{.binary = "ls",
                         .model_file = "m.gguf",
                         .speculation_words = {"-md", "d.gguf", "--spec-type", "draft-simple"},
                         .threads = 3};
    spec.target.options = {
        .num_ctx = 512, .num_batch = 64, .num_gpu = 0, .num_thread = 1, .flash_attention = "on", .kv_type = "q8_0"};
    EXPECT_EQ(words_of(spec),
              "ls -m m.gguf --host 127.0.0.1 --port 4321 -c 512 -t 1 -tb 1 -np 1 --no-webui -b 64 -ub 64 -ngl 0 -fa on "
              "-ctk q8_0 -ctv q8_0 -md d.gguf --spec-type draft-simple");
}

TEST(LlamaServerWords, EqualRunsAreToldAlike) {
    const LlamaServerSpec here{
        .binary = "/a/ls", .model_file = "/a/m.gguf", .speculation_words = {"-md", "/a/d.gguf"}, .threads = 3};
    const LlamaServerSpec there{
        .binary = "/b/ls", .model_file = "/b/m.gguf", .speculation_words = {"-md", "/b/d.gguf"}, .threads = 3};
    EXPECT_EQ(telling_flags(llama_server_words(here, 1)), telling_flags(llama_server_words(there, 2)));
    EXPECT_EQ(telling_flags(llama_server_words(here, 1)), "-c 4096 -t 3 -tb 3 -np 1 --no-webui -md d.gguf");
}

TEST(LlamaServerEnvironment, LeavesOutKeysAndAddresses) {
    const system::Environment kept = child_environment({{"LLAMA_API_KEY", "secret"},
                                                        {"LLAMA_ARG_API_KEY_FILE", "f"},
                                                        {"LLAMA_ARG_SSL_KEY_FILE", "f"},
                                                        {"LLAMA_ARG_PORT", "1"},
                                                        {"LLAMA_ARG_THREADS", "2"},
                                                        {"PATH", "/bin"}});
    EXPECT_EQ(kept, (system::Environment{{"LLAMA_ARG_THREADS", "2"}, {"PATH", "/bin"}}));
}

TEST(LlamaServerEnd, IsExplainedByItsOutput) {
    EXPECT_NE(why_llama_server_ended("x\nerror: unknown model architecture: 'y'\n").find("too old"), std::string::npos);
    EXPECT_NE(why_llama_server_ended("ggml: failed to allocate buffer").find("--num-ctx"), std::string::npos);
    EXPECT_NE(why_llama_server_ended("error: invalid argument: --no-webui").find("option"), std::string::npos);
    EXPECT_NE(why_llama_server_ended("error while handling argument \"--spec-type\": unknown speculative type: x")
                  .find("--spec-type"),
              std::string::npos);
    EXPECT_FALSE(why_llama_server_ended("").empty());
}

}  // namespace started_llama_server_test
}  // namespace velollm::backend
