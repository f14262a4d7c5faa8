#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace velollm::wire {

/// Cuts newline-delimited JSON into its lines, whatever pieces the network delivers it in. Blank lines are skipped; a
/// line may end in CRLF. The last line counts only once its line feed has come: see pending().
///
/// Invariant: the same bytes, cut anywhere, give the same calls.
class NdjsonSplitter {
public:
    /// Calls on_line(std::string_view) once per finished line, in order. The view is valid during the call.
    template <typename OnLine>
    void feed(std::string_view bytes, OnLine&& on_line) {
        for (;;) {
            const std::size_t end = bytes.find('\n');
            if (end == std::string_view::npos) {
                held_.append(bytes);
                return;
            }
            std::string_view line = bytes.substr(0, end);
            if (!held_.empty()) line = held_.append(line);
            bytes.remove_prefix(end + 1);
            if (line.ends_with('\r')) line.remove_suffix(1);
            if (!line.empty()) on_line(line);
            held_.clear();
        }
    }

    /// The line that isn't finished yet. At the end of a stream: an object whose sender left the last line feed out, or
    /// the remains of a broken reply.
    std::string_view pending() const { return held_; }

private:
    std::string held_;
};

}  // namespace velollm::wire
