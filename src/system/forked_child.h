#pragma once

#include <velollm/result.h>

#include <functional>

namespace velollm::system {

/// A copy of this process that runs one function and ends. It is killed when this object goes, and by the kernel when
/// this process goes. Make it while this process has one thread only: a copy has no other thread, and locks that one
/// held stay shut in it.
class ForkedChild {
public:
    /// `body` runs in the child alone; what it returns is the exit code. Destructors of this process don't run there.
    static Result<ForkedChild> start(const std::function<int()>& body);
    ForkedChild(ForkedChild&& other) noexcept;
    ForkedChild& operator=(ForkedChild&&) = delete;
    ~ForkedChild();

    int pid() const { return pid_; }

private:
    explicit ForkedChild(int pid) : pid_(pid) {}
    int pid_;
};

}  // namespace velollm::system
