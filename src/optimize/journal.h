#pragma once

#include <velollm/result.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "optimize/proof.h"
#include "system/system.h"

namespace velollm::optimize {

/// A file that is written while a plan is applied, and what it takes to have it back as it was.
struct FileChange {
    std::string path;
    bool existed = false;
    std::string before;       ///< its bytes, where it existed
    std::string before_hash;  ///< SHA-256 of them
    std::string after_hash;   ///< of what is put there
};

/// The journal of one plan: schema/velollm-applied-1.schema.json. It is on the disk before each step and after it, so
/// that a crash between any two leaves enough to undo them.
struct Applied {
    std::string id;  ///< the plan's
    std::string engine;
    std::string version;  ///< of the engine, when it was applied
    std::string model;
    std::string url;
    std::string created;
    std::string state = "applying";  ///< applying, applied, rolling back, rolled back
    std::string step;                ///< the last one that was begun
    bool step_done = false;
    int pid = 0;                       ///< of the program that applies it: its temporary files bear that number
    std::string unit;                  ///< of systemd; empty: nothing is restarted
    bool user_unit = false;            ///< of the user's own systemd
    bool restarted = false;            ///< a restart was begun, so that one is due after going back
    std::vector<std::string> folders;  ///< that were missing, outermost first
    std::vector<FileChange> files;
    std::string tag;         ///< of Ollama, that was made; empty: none
    std::string tag_digest;  ///< of what was made; empty: not known yet
    std::vector<Expected> expected;

    bool in_force() const { return state == "applied"; }
    /// Nothing of it is left.
    bool over() const { return state == "rolled back"; }
};

std::filesystem::path journal_file(const system::System& system);
std::string journal_json(const Applied& applied);
std::optional<Applied> parse_journal(std::string_view json);
/// Nothing where none was written; an error where there is one that can't be read.
Result<std::optional<Applied>> read_journal(const system::System& system);
Result<void> write_journal(const Applied& applied, const system::System& system);

}  // namespace velollm::optimize
