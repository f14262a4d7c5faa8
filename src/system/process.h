#pragma once

#include <velollm/result.h>
#include <velollm/time.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "system/system.h"

namespace velollm::system {

struct ProcessSpec {
    std::vector<std::string> words;  ///< the first is the program's file: it is not searched for
    Environment env;                 ///< the child's whole environment
};

/// How a process ended.
struct ProcessEnd {
    int exit_code = 0;
    int signal = 0;  ///< not 0: killed by it, and `exit_code` says nothing
    /// "with exit code 1", "killed by signal 9".
    std::string text() const;
};

/// A child process that never outlives this one, not even when this one is killed outright: the kernel then sends it
/// SIGTERM (PR_SET_PDEATHSIG; it goes by the thread that started it, so start it on one that stays). It is in a
/// process group of its own: Ctrl-C of the terminal doesn't reach it before we have come to an end.
///
/// Standard input is empty. Both outputs go to a nameless file of the temporary folder, so that the child never waits
/// for a reader. No descriptor of ours gets into it.
class Process {
public:
    static Result<Process> start(const ProcessSpec& spec, const System& system);
    Process(Process&&) noexcept;
    Process& operator=(Process&&) noexcept;
    ~Process();  ///< stops it

    int pid() const;
    /// Nothing while it runs. Doesn't wait.
    std::optional<ProcessEnd> ended();
    /// The same, after waiting for its end until `deadline`.
    std::optional<ProcessEnd> wait(TimePoint deadline);
    /// The last `bytes` of what it has written so far. What is older is dropped from the file.
    std::string output(std::size_t bytes) const;
    /// Asks it to end, and kills it and its group after `grace`. Returns when it is gone.
    void stop(Ns grace);

private:
    struct State;
    explicit Process(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

/// Memory of a process that lies in RAM, mapped files included; nothing where the kernel doesn't tell.
std::optional<std::int64_t> resident_bytes(const System& system, int pid);

/// The executable file that the shell would run for `name`, by $PATH.
std::optional<std::filesystem::path> find_program(const System& system, const std::string& name);
bool is_executable(const std::filesystem::path& file);

/// A TCP port of 127.0.0.1 that nobody has at the moment.
Result<int> free_loopback_port();

}  // namespace velollm::system
