#include "optimize/quote.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdint>

#include "base/text.h"

namespace velollm::optimize {
namespace {

constexpr std::size_t kCommentBytes = 400;

std::string_view until_nul(std::string_view text) {
    return text.substr(0, text.find('\0'));
}

/// Each of `specials` with `escape` in front.
std::string escaped(std::string_view text, std::string_view specials, char escape) {
    std::string out;
    for (const char c : text) {
        if (specials.find(c) != std::string_view::npos) out += escape;
        out += c;
    }
    return out;
}

bool is_control(unsigned char c) {
    return c < 0x20 || c == 0x7f;
}

bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// The character that begins at `at`, and moves there behind it; a byte that begins none stands for U+FFFD.
std::uint32_t next_character(std::string_view text, std::size_t& at) {
    constexpr std::uint32_t kReplacement = 0xFFFD;
    const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
    const std::uint32_t first = byte(at++);
    if (first < 0x80) return first;
    const std::size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : first >= 0xC2 ? 1 : 0;
    if (more == 0 || first > 0xF4 || at + more > text.size()) return kReplacement;
    std::uint32_t code = first & (0x3FU >> more);
    for (std::size_t i = 0; i < more; ++i) {
        if ((byte(at + i) & 0xC0U) != 0x80) return kReplacement;
        code = (code << 6U) | (byte(at + i) & 0x3FU);
    }
    at += more;
    return code;
}

}  // namespace

std::string sh_word(std::string_view value) {
    std::string out = "'";
    for (const char c : until_nul(value)) {
        if (c == '\'')
            out += "'\\''";
        else
            out += c;
    }
    return out + "'";
}

std::string shell_word(const std::string& value) {
    constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:/@-+=,";
    const bool plain = !value.empty() && value.find_first_not_of(kPlain) == std::string::npos;
    return plain ? value : sh_word(value);
}

std::string fish_word(std::string_view value) {
    return "'" + escaped(until_nul(value), "\\'", '\\') + "'";
}

std::string powershell_word(std::string_view value) {
    // PowerShell takes the typographic quotes U+2018 to U+201B for single quotes too.
    const std::string_view text = until_nul(value);
    std::string out = "'";
    for (std::size_t i = 0; i < text.size();) {
        const bool curly = text.substr(i, 2) == "\xE2\x80" && i + 2 < text.size() &&
                           static_cast<unsigned char>(text[i + 2]) >= 0x98 &&
                           static_cast<unsigned char>(text[i + 2]) <= 0x9B;
        const std::string_view piece = text.substr(i, curly ? 3 : 1);
        out += piece;
        if (curly || piece == "'") out += piece;
        i += piece.size();
    }
    return out + "'";
}

std::string systemd_word(std::string_view value) {
    std::string out = "\"";
    for (const char c : until_nul(value)) {
        if (c == '%')
            out += "%%";
        else if (c == '"' || c == '\\')
            out += fmt::format("\\{}", c);
        else if (is_control(static_cast<unsigned char>(c)))
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        else
            out += c;
    }
    return out + "\"";
}

std::string envfile_word(std::string_view value) {
    return "\"" + escaped(until_nul(value), "\"\\$`", '\\') + "\"";
}

std::string yaml_text(std::string_view value) {
    const std::string_view text = until_nul(value);
    std::string out = "\"";
    for (std::size_t i = 0; i < text.size();) {
        const std::uint32_t c = next_character(text, i);
        if (c == '"' || c == '\\')
            out += fmt::format("\\{}", static_cast<char>(c));
        else if (c >= 0x20 && c < 0x7f)
            out += static_cast<char>(c);
        else if (c <= 0xFFFF)
            out += fmt::format("\\u{:04x}", c);
        else
            out += fmt::format("\\U{:08x}", c);
    }
    return out + "\"";
}

std::string compose_text(std::string_view value) {
    return yaml_text(escaped(until_nul(value), "$", '$'));
}

bool is_plain_name(std::string_view name) {
    return !name.empty() &&
           std::all_of(name.begin(), name.end(), [](char c) { return is_letter_or_digit(c) || c == '_' || c == '-'; });
}

bool is_plain_value(std::string_view value) {
    return !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
        return is_letter_or_digit(c) || c == '_' || c == '-' || c == '.' || c == '+';
    });
}

std::string comment(std::string_view text) {
    // Some languages end a line at characters outside of ASCII too (U+0085, U+2028).
    std::string out = base::one_line(text, kCommentBytes);
    std::replace_if(
        out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }, '?');
    return out;
}

}  // namespace velollm::optimize
