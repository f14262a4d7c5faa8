#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "gguf/gguf.h"

namespace velollm::gguf {
namespace {

/// Another kind of file: how it begins, what it is, and what to do about it.
struct Kind {
    std::string_view begin;
    std::string_view what;
    std::string_view hint;
};

constexpr std::string_view kPageHint =
    "The server's answer was saved in place of the model. Download it from the page's direct link "
    "(Hugging Face: /resolve/main/ instead of /blob/main/); a gated model needs a login first.";
constexpr std::string_view kUnpackHint = "Unpack it, and give the .gguf file inside.";
constexpr std::string_view kConvertHint =
    "Download a GGUF file of this model, or convert it with llama.cpp's convert_hf_to_gguf.py.";
constexpr std::string_view kOldHint = "llama.cpp gave this format up in 2023. Download a GGUF file of this model.";

// Matched against the lower-case text without leading blanks: pages are free in both.
constexpr std::array<Kind, 7> kTexts{{
    {"version https://git-lfs", "a Git LFS pointer, not the model itself",
     "Run 'git lfs install' and 'git lfs pull' in its folder, or download the file itself."},
    {"<!doctype html", "a web page", kPageHint},
    {"<html", "a web page", kPageHint},
    {"<?xml", "an XML text", kPageHint},
    {"{", "a JSON text", kPageHint},
    {"entry not found", "a server's error text", kPageHint},
    {"invalid username or password", "a server's error text", kPageHint},
}};

constexpr std::array<Kind, 11> kBinaries{{
    {"PK\x03\x04", "a zip archive or a PyTorch model", kConvertHint},
    {"\x1f\x8b", "gzip data", kUnpackHint},
    {"\x28\xb5\x2f\xfd", "zstd data", kUnpackHint},
    {"\xfd"
     "7zXZ",
     "xz data", kUnpackHint},
    {"7z\xbc\xaf", "a 7-Zip archive", kUnpackHint},
    {"\x80\x02", "a Python pickle", kConvertHint},
    {"\x7f"
     "ELF",
     "a program", "Give the path of a model file."},
    {"lmgg", "a GGML file", kOldHint},
    {"fmgg", "a GGMF file", kOldHint},
    {"tjgg", "a GGJT file", kOldHint},
    {"algg", "a GGLA adapter", kOldHint},
}};

/// Safetensors begin with the length of a JSON object in 8 bytes, then the object.
bool is_safetensors(std::string_view bytes) {
    return bytes.size() > 9 && bytes[8] == '{' && bytes.substr(5, 3) == std::string_view("\0\0\0", 3);
}

bool is_zeros(std::string_view bytes) {
    return !bytes.empty() && std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == '\0'; });
}

std::optional<Kind> kind_of(std::string_view bytes) {
    if (is_safetensors(bytes)) return Kind{{}, "a safetensors file", kConvertHint};
    for (const Kind& kind : kBinaries)
        if (bytes.starts_with(kind.begin)) return kind;
    const std::string text = base::lower(base::trim(bytes.substr(0, 256)));
    for (const Kind& kind : kTexts)
        if (text.starts_with(kind.begin)) return kind;
    if (is_zeros(bytes.substr(0, 256)))
        return Kind{
            {}, "zero bytes, as of a download that reserved its space and never filled it", "Download it again."};
    return std::nullopt;
}

/// The first bytes as text when they are printable, else in hexadecimal.
std::string shown(std::string_view bytes) {
    const std::string_view first = bytes.substr(0, 8);
    if (std::all_of(first.begin(), first.end(), [](char c) { return c >= ' ' && c <= '~'; }))
        return fmt::format("\"{}\"", first);
    std::string hex;
    for (const char c : first) hex += fmt::format("{}{:02x}", hex.empty() ? "" : " ", static_cast<unsigned char>(c));
    return hex;
}

}  // namespace

Error not_gguf(std::string_view first_bytes, std::string_view file) {
    if (const auto kind = kind_of(first_bytes))
        return {ErrorCode::kFailed, fmt::format("Not a GGUF file: {} holds {}", file, kind->what),
                std::string(kind->hint)};
    return {ErrorCode::kFailed, fmt::format("Not a GGUF file: {} begins with {}", file, shown(first_bytes)),
            "Give the path of a model in GGUF format (*.gguf)."};
}

}  // namespace velollm::gguf
