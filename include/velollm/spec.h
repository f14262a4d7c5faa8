#pragma once

#include <velollm/time.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace velollm {

inline constexpr const char* kDefaultModel = "llama3.2:3b";

/// Settings of the engine, by Ollama's names. What is absent is left to the engine.
struct EngineOptions {
    std::optional<int> num_ctx;    ///< context, tokens
    std::optional<int> num_batch;  ///< prompt tokens evaluated at once
    std::optional<int> num_gpu;    ///< layers on the GPU
    std::optional<int> num_thread;
    std::string keep_alive;       ///< Ollama: "5m", "300", "-1"; empty: the server's own
    std::string flash_attention;  ///< embedded, llamacpp: "on", "off", "auto"; empty: auto
    std::string kv_type;          ///< embedded, llamacpp: "f16", "q8_0", ...; empty: f16
    /// Speculative decoding, of an engine that is started: "off", "ngram" (look-up in the text so far, of which each
    /// engine has a kind of its own), or the engine's name for a kind: "ngram-simple", "draft-mtp", ...; empty: what
    /// the engine does by itself, and drafts of TargetSpec::draft where one is named.
    std::string speculation;
    std::optional<int> draft_tokens;  ///< most tokens drafted in a step

    /// Where a setting came from, when not from the caller: "num_ctx" -> "OLLAMA_NUM_CTX".
    std::map<std::string, std::string> origin;
};

/// Which engine, which model, and how to reach it.
struct TargetSpec {
    std::string backend = "ollama";  ///< "ollama", "llamacpp", "openai", "embedded"
    std::string model;               ///< empty: the backend's usual one (Ollama: kDefaultModel)
    std::string url;                 ///< empty: the backend's usual address (Ollama: $OLLAMA_HOST)
    std::string
        endpoint;  ///< Ollama: generate, chat; llamacpp: completion, chat; openai: chat, completions; empty: the first
    /// Send the bare words, without the model's chat template: every engine then reads the same tokens. Needs an
    /// endpoint that takes them: generate, completion, completions.
    bool raw = false;
    std::string api_key_env;   ///< openai: environment variable with the key; empty: OPENAI_API_KEY, if set
    std::string tokenizer;     ///< openai: GGUF file, or name in the local Ollama store, to count tokens with where the
                               ///< server doesn't; empty: none
    std::string llama_server;  ///< llamacpp: program to start; empty: looked for
    std::string draft;         ///< embedded, and servers that are started: model for speculative decoding; empty: none
    /// llamacpp, where it is started: put behind its command line, so that they win.
    std::vector<std::string> server_flags;
    /// Of a server that is started: added to its environment.
    std::map<std::string, std::string> server_env;
    /// ollama: start one of our own on a free port, with the models of this machine, instead of asking one that runs.
    bool own_server = false;
    EngineOptions options;
    std::uint64_t seed = 42;  ///< sent with every request; sampling is greedy all the same
    /// A request that brings no new token for this long is given up.
    Ns timeout = std::chrono::seconds(300);
};

/// When requests are sent. All of it is decided before the run.
struct Schedule {
    /// Offsets from the start of the run, ascending. In a closed loop they are all zero: a request is due as soon as a
    /// place is free.
    std::vector<Ns> due;
    int max_in_flight = 1;
    bool closed_loop = true;
};

}  // namespace velollm
