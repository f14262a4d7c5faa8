#include "optimize/journal.h"

#include <fmt/core.h>

#include <array>
#include <utility>

#include "base/digest.h"
#include "base/json_writer.h"
#include "wire/json_reader.h"

namespace velollm::optimize {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kSchema = "velollm-applied-1";
constexpr std::string_view kDigits = "0123456789abcdef";

/// A file's bytes need not be UTF-8, which JSON must be.
std::string to_hex(std::string_view bytes) {
    std::string hex;
    hex.reserve(bytes.size() * 2);
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        hex += kDigits[byte >> 4U];
        hex += kDigits[byte & 15U];
    }
    return hex;
}

std::optional<std::string> from_hex(std::string_view hex) {
    if (hex.size() % 2 != 0) return std::nullopt;
    std::string bytes;
    bytes.reserve(hex.size() / 2);
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        const std::size_t high = kDigits.find(hex[i]);
        const std::size_t low = kDigits.find(hex[i + 1]);
        if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
        bytes += static_cast<char>(high * 16 + low);
    }
    return bytes;
}

void write_lists(base::JsonWriter& json, const Applied& applied) {
    json.key("folders").begin_array();
    for (const std::string& folder : applied.folders) json.value(folder);
    json.end_array();
    json.key("files").begin_array();
    for (const FileChange& file : applied.files) {
        json.begin_object().field("path", file.path).field("existed", file.existed);
        json.field("before_hex", to_hex(file.before)).field("before_sha256", file.before_hash);
        json.field("after_sha256", file.after_hash).end_object();
    }
    json.end_array();
    json.key("expected").begin_array();
    for (const Expected& one : applied.expected) {
        json.begin_object().field("setting", one.setting).field("value", one.value);
        json.field("channel", one.channel).field("knob", one.knob).end_object();
    }
    json.end_array();
}

bool read_files(const wire::JsonReader& json, Applied& applied) {
    for (std::size_t i = 0; i < json.size("/files").value_or(0); ++i) {
        const auto get = [&](const char* name) {
            return std::string(json.text(fmt::format("/files/{}/{}", i, name)).value_or(""));
        };
        FileChange file;
        file.path = get("path");
        file.existed = json.boolean(fmt::format("/files/{}/existed", i)).value_or(false);
        file.before_hash = get("before_sha256");
        file.after_hash = get("after_sha256");
        auto before = from_hex(get("before_hex"));
        // Bytes that aren't those of the snapshot would be worse than none.
        if (file.path.empty() || !before || base::sha256_hex(*before) != file.before_hash) return false;
        file.before = *std::move(before);
        applied.files.push_back(std::move(file));
    }
    return true;
}

}  // namespace

fs::path journal_file(const system::System& system) {
    return system::state_folder(system) / "applied.json";
}

std::string journal_json(const Applied& applied) {
    base::JsonWriter json(2);
    json.begin_object().field("schema", kSchema).field("id", applied.id).field("engine", applied.engine);
    json.field("version", applied.version).field("model", applied.model).field("url", applied.url);
    json.field("created", applied.created).field("state", applied.state).field("step", applied.step);
    json.field("step_done", applied.step_done).field("pid", applied.pid).field("unit", applied.unit);
    json.field("user_unit", applied.user_unit).field("restarted", applied.restarted);
    json.field("tag", applied.tag).field("tag_digest", applied.tag_digest);
    write_lists(json, applied);
    json.end_object();
    return json.text() + "\n";
}

std::optional<Applied> parse_journal(std::string_view text) {
    wire::JsonReader json;
    if (!json.parse(text) || json.text("/schema") != kSchema) return std::nullopt;
    Applied applied;
    const std::array<std::pair<const char*, std::string*>, 11> texts = {{{"/id", &applied.id},
                                                                         {"/engine", &applied.engine},
                                                                         {"/version", &applied.version},
                                                                         {"/model", &applied.model},
                                                                         {"/url", &applied.url},
                                                                         {"/created", &applied.created},
                                                                         {"/state", &applied.state},
                                                                         {"/step", &applied.step},
                                                                         {"/unit", &applied.unit},
                                                                         {"/tag", &applied.tag},
                                                                         {"/tag_digest", &applied.tag_digest}}};
    for (const auto& [pointer, into] : texts) {
        const auto value = json.text(pointer);
        if (!value) return std::nullopt;
        *into = *value;
    }
    applied.step_done = json.boolean("/step_done").value_or(false);
    applied.user_unit = json.boolean("/user_unit").value_or(false);
    applied.restarted = json.boolean("/restarted").value_or(false);
    applied.pid = static_cast<int>(json.integer("/pid").value_or(0));
    for (std::size_t i = 0; i < json.size("/folders").value_or(0); ++i)
        applied.folders.emplace_back(json.text(fmt::format("/folders/{}", i)).value_or(""));
    if (!read_files(json, applied)) return std::nullopt;
    for (std::size_t i = 0; i < json.size("/expected").value_or(0); ++i) {
        const auto get = [&](const char* name) {
            return std::string(json.text(fmt::format("/expected/{}/{}", i, name)).value_or(""));
        };
        applied.expected.push_back({get("setting"), get("value"), get("channel"), get("knob")});
    }
    return applied;
}

Result<std::optional<Applied>> read_journal(const system::System& system) {
    const fs::path path = journal_file(system);
    const auto text = system::read_file(path);
    std::error_code error;
    if (!text && !fs::exists(path, error)) return std::optional<Applied>();
    if (text)
        if (auto applied = parse_journal(*text)) return applied;
    return Error{ErrorCode::kFailed, fmt::format("The journal {} can't be read", path.string()),
                 "It tells what `optimize --apply` changed. Look at it, put right what it names, then move it away."};
}

Result<void> write_journal(const Applied& applied, const system::System& system) {
    if (auto made = system::make_folder(system::state_folder(system)); !made) return made;
    return system::write_file_atomic(journal_file(system), journal_json(applied));
}

}  // namespace velollm::optimize
