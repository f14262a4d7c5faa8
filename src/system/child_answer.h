#pragma once

#include <velollm/result.h>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

namespace velollm::system {

/// What a copy of this process wrote.
struct ChildAnswer {
    std::string text;
    bool complete = false;  ///< it came to its end; else it died or was stopped after `text`
};

using Write = std::function<void(std::string_view)>;

/// Runs `body` in a copy of this process and collects what it writes: for code of others that may end the process. What
/// it prints instead is dropped. The copy is stopped after `longest`, or when it writes more than `most_bytes`. It has
/// one thread only, so `body` must need no lock that another thread of this process may hold.
Result<ChildAnswer> ask_child(const std::function<void(const Write&)>& body, std::chrono::milliseconds longest,
                              std::size_t most_bytes);

}  // namespace velollm::system
