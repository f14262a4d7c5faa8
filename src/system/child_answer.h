#pragma once

#include <velollm/result.h>
#include <velollm/time.h>

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "system/process.h"

namespace velollm::system {

/// What a child process wrote, and how it came to its end.
struct ChildAnswer {
    std::string text;
    bool in_time = true;  ///< false: it was killed at the deadline, or because its answer is no longer wanted
    bool in_size = true;  ///< false: it was killed because it wrote more than was allowed
    ProcessEnd end;       ///< of one that ended by itself
    bool good() const { return in_time && in_size && end.signal == 0 && end.exit_code == 0; }
};

/// A copy of this process that works out one text, for code that may hang, crash or spoil the process it runs in. It is
/// in a process group of its own, has no standard streams and leaves no core file. It is killed, with what it started,
/// when this object goes, and by the kernel when this process goes. Make it while this process has one thread only: a
/// copy has no other thread, and locks that one held stay shut in it.
class ChildQuestion {
public:
    /// `body` runs in the child alone. Destructors of this process don't run there.
    static Result<ChildQuestion> ask(const std::function<std::string()>& body);
    /// The same for a text in pieces: what was written before the child died is in the answer.
    using Write = std::function<void(std::string_view)>;
    static Result<ChildQuestion> ask_in_pieces(const std::function<void(const Write&)>& body);
    ChildQuestion(ChildQuestion&& other) noexcept;
    ChildQuestion& operator=(ChildQuestion&&) = delete;
    ~ChildQuestion();

    /// Waits until the child has ended, or is killed at the deadline or for more than `max_bytes`. Call it once.
    /// `stop`, if there is one, is asked five times a second; true kills the child as well.
    ChildAnswer answer(Clock& clock, TimePoint deadline, std::size_t max_bytes,
                       const std::function<bool()>& stop = nullptr);

private:
    ChildQuestion(int pid, int pipe) : pid_(pid), pipe_(pipe) {}
    ProcessEnd kill_and_reap();
    int pid_;
    int pipe_;
};

}  // namespace velollm::system
