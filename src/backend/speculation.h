#pragma once

#include <velollm/backend.h>
#include <velollm/result.h>
#include <velollm/spec.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace velollm::backend {

/// llama.cpp's name for the kind of speculative decoding that is asked for: "ngram" is ngram-mod there, which
/// llama-server takes with --spec-default too; "off" is "none"; a draft model without a name is draft-simple. Empty:
/// nothing is asked for.
std::string llama_spec_type(const EngineOptions& options, bool has_draft_model);

/// The flags of a llama-server that say so. Fails where `draft_tokens` can't be told for that kind. Names are not
/// checked: the server knows its own, and says so when it ends.
Result<std::vector<std::string>> llama_speculation_words(const EngineOptions& options, const std::string& draft_file);

/// The same as the environment of an Ollama from 0.30 on, whose llama-server inherits it. Of an n-gram kind it can't
/// say how many tokens to draft.
Result<std::map<std::string, std::string>> ollama_speculation_env(const EngineOptions& options,
                                                                  const std::string& draft_file);

/// What is in force in a llama-server with this command line and environment.
std::optional<Speculation> speculation_of(const std::vector<std::string>& words,
                                          const std::map<std::string, std::string>& environment);

/// Speculative decoding is decided where a server starts: one that runs can't be asked for it.
Result<void> refuse_speculation(const TargetSpec& target);

}  // namespace velollm::backend
