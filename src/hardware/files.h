#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "system/system.h"

namespace velollm::hardware {

/// The file or folder that the running system calls `path`, e.g. "/proc/meminfo", under the system's root.
inline std::filesystem::path under_root(const system::System& system, std::string_view path) {
    return system.root / std::filesystem::path(path).relative_path();
}

/// Its text; empty when it can't be read, because no parser here tells an absent file from an empty one.
inline std::string read_text(const system::System& system, std::string_view path) {
    return system::read_file(under_root(system, path)).value_or("");
}

/// Its text without blanks around it, and without the NUL that device tree texts end in.
inline std::string read_word(const system::System& system, std::string_view path) {
    std::string text = read_text(system, path);
    text.resize(text.find('\0') == std::string::npos ? text.size() : text.find('\0'));
    return std::string(base::trim(text));
}

/// "name : value" as its two halves, trimmed; the value is empty when there is no separator.
inline std::pair<std::string_view, std::string_view> name_and_value(std::string_view line, char separator) {
    const std::size_t at = line.find(separator);
    if (at == std::string_view::npos) return {base::trim(line), {}};
    return {base::trim(line.substr(0, at)), base::trim(line.substr(at + 1))};
}

}  // namespace velollm::hardware
