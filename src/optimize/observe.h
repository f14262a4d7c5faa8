#pragma once

#include <velollm/time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "optimize/plan.h"
#include "wire/url.h"

namespace velollm::optimize {

/// Which server to look at.
struct Target {
    std::string engine = "ollama";
    std::string model;         ///< empty: one that the server holds, else the engine's usual one
    std::string url;           ///< as the user typed it; empty: the engine's usual one
    std::string llama_server;  ///< program to ask for its version where no server runs; empty: looked for
};

/// Looks at the server and at its processes, as far as this user may, and changes nothing: no model is loaded, nothing
/// is started but a program that says its version where no server answers. What can't be seen is in `unseen`.
Observed observe(const Target& target, const system::System& system, Clock& clock);

/// Whether the model is there, as far as that can be told: the server that answers says it has none of this name, or no
/// file is at the path, or it is no GGUF.
Result<void> check_model_name(const Facts& facts, const system::System& system);

/// The whole of what a plan is made from: the machine, the server, the model's shape.
Facts gather(const Target& target, Profile profile, const Limits& limits, const system::System& system, Clock& clock);

// ---- The pure parts ----

/// The settings in force, as far as `observed` shows them, with the engine's own defaults where they are known.
/// `gpu_bytes`: memory of all GPUs, which Ollama's default context goes by.
Settings settings_of(const Observed& observed, const std::string& model, std::int64_t gpu_bytes,
                     const system::Environment& shell = {});

/// The value behind the last of `flags` in a command line, in both forms, "-c 4096" and "--ctx-size=4096". A flag
/// without a value behind it is "1". Nothing when none is there.
std::optional<std::string> flag_value(const std::vector<std::string>& words, const std::vector<std::string>& flags);

/// A text with a NUL behind each entry, as /proc has it, in pieces.
std::vector<std::string> split_nul(std::string_view text);

/// Of the environment in /proc/PID/environ, the variables of is_engine_variable.
system::Environment engine_environment(std::string_view environ);
system::Environment engine_environment(const system::Environment& env);

/// What runs a process, by /proc/PID/cgroup: {"systemd unit ollama.service", "ollama.service", false}.
struct Manager {
    std::string words;
    std::string unit;
    bool container = false;
};
Manager manager_of(std::string_view proc_cgroup, int pid);

/// PARAMETER lines as /api/show states them: "num_ctx                        4096\nstop ...".
std::map<std::string, std::string> parse_parameters(std::string_view text);

/// What an Ollama has written since it was started: a log may go on from run to run.
std::string_view log_of_this_run(std::string_view log);

/// A variable's value as Ollama takes it: without blanks and quotes around it. A switch is on by any word but those of
/// Go's ParseBool for false (envconfig/config.go: Var, BoolWithDefault).
std::string ollama_value(std::string_view value);
bool ollama_switch(std::string_view value);

/// A value of the last "server config" line of Ollama's log; nothing without one, or when the map lacks the name.
std::optional<std::string> config_in_log(std::string_view log, std::string_view name);
/// A field of the last load request in the log of Ollama up to 0.24: "NumThreads:2".
std::optional<std::string> load_in_log(std::string_view log, std::string_view field);
/// "n_threads = 2" of the last line "system_info" of llama.cpp.
std::optional<std::string> threads_in_log(std::string_view log);
/// The contexts that the loads of a model had, in the log's order. `file`: of its weights; empty: of the first model
/// that was loaded.
std::vector<std::int64_t> loaded_contexts(std::string_view log, std::string_view file);

/// "5m", "1h30m", "300" (seconds), "-1" -> seconds; nothing for anything else. Go's durations.
std::optional<double> duration_seconds(std::string_view text);

}  // namespace velollm::optimize
