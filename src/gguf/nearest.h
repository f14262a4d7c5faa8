#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"

namespace velollm::gguf {

/// The names that look most like `wanted`, best first, joined with commas; at most three, and none that shares little
/// with it: such an offer only distracts.
inline std::string nearest_names(std::string_view wanted, const std::vector<std::string>& names) {
    const std::string folded = base::lower(wanted);
    std::vector<std::pair<std::size_t, std::string_view>> ranked;
    for (const std::string& name : names) {
        const std::size_t distance = base::edit_distance(folded, base::lower(name));
        if (distance <= std::max<std::size_t>(folded.size(), name.size()) / 2) ranked.emplace_back(distance, name);
    }
    std::sort(ranked.begin(), ranked.end());
    std::string out;
    for (std::size_t i = 0; i < std::min<std::size_t>(ranked.size(), 3); ++i) {
        if (i > 0) out += ", ";
        out += ranked[i].second;
    }
    return out;
}

}  // namespace velollm::gguf
