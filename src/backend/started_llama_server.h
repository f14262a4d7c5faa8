#pragma once

#include <velollm/backend.h>
#include <velollm/spec.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backend/started_server.h"
#include "system/system.h"

namespace velollm::backend {

/// A llama-server that this program starts, and stops again.
struct LlamaServerSpec {
    std::filesystem::path binary;
    std::filesystem::path model_file;
    std::vector<std::string> speculation_words;  ///< flags for speculative decoding: llama_speculation_words
    std::string model;                           ///< name to show
    std::string digest;                          ///< sha256 of the file where it is known without reading it
    TargetSpec target;
    int threads = 1;  ///< unless target.options.num_thread says otherwise
};

/// Its command line. It is told how many threads to use in any case: by itself it takes all cores, whatever a cgroup
/// quota leaves of them. Without a context it takes the model's longest, which may not fit: it is told 4096 instead.
/// What the target's environment for it says is left to that, since the command line would win.
std::vector<std::string> llama_server_words(const LlamaServerSpec& spec, int port);

/// Of such a command line what decides the speed, for the result file: without the program, the model's folder and the
/// address, which differ from run to run and say nothing. A draft model is named by its file.
std::string telling_flags(const std::vector<std::string>& words);

/// The environment for a server of our own: what would put a key or TLS in front of it, or move it elsewhere, is left
/// out.
system::Environment child_environment(system::Environment environment);

/// The same with what the target adds to it.
system::Environment child_environment(const TargetSpec& target, const system::System& system);

/// What to do about a llama-server that ended while loading, by what it wrote last.
std::string why_llama_server_ended(std::string_view output);

/// Looks for the program: `asked` (--llama-server), $VELOLLM_LLAMA_SERVER, $PATH, and the cache folder, where
/// scripts/setup builds it.
Result<std::filesystem::path> find_llama_server(const std::string& asked, const system::System& system);

/// See make_started_server().
std::unique_ptr<Backend> make_started_llama_server(LlamaServerSpec spec, ServerTools tools);

}  // namespace velollm::backend
