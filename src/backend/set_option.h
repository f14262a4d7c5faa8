#pragma once

#include <velollm/result.h>
#include <velollm/spec.h>

#include <string>
#include <string_view>

namespace velollm::backend {

/// Puts one setting, as a user writes it, into a target:
///
/// - num_ctx, num_batch, num_gpu, num_thread, keep_alive, flash_attn, kv_type, speculation, draft_tokens: of the
/// engine;
/// - model, backend, url, endpoint, draft, llama_server, raw: of the target;
/// - NAME=VALUE in capitals: the environment of a server that is started for it;
/// - --flag or --flag=value: the command line of a llama-server that is started for it.
///
/// `word` is "key=value". Fails with the names that there are.
Result<void> set_option(TargetSpec& target, std::string_view word);

/// What a target differs by from another one, in the same words; "as it is" where nothing was set.
std::string option_words(const std::vector<std::string>& words);

}  // namespace velollm::backend
