#include "cli/compare_inputs.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <system_error>
#include <vector>

#include "base/text.h"
#include "serde/measured.h"
#include "system/system.h"

namespace velollm::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHardware = "hardware.json";

bool is_folder(const std::string& path) {
    std::error_code error;
    return fs::is_directory(path, error);
}

bool exists(const std::string& path) {
    std::error_code error;
    return fs::exists(path, error);
}

Result<serde::MeasuredFile> read_one(const std::string& path) {
    if (path == "-")
        return serde::read_measured(std::string(std::istreambuf_iterator<char>(std::cin), {}), "standard input");
    const auto text = system::read_file(path);
    if (!text) return Error{ErrorCode::kUsage, fmt::format("Cannot read {}", path), "Name a result file or a folder."};
    return serde::read_measured(*text, path);
}

Result<std::vector<fs::path>> files_of(const std::string& folder) {
    std::vector<fs::path> files;
    std::error_code error;
    for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
        const std::string ending = base::lower(at->path().extension().string());
        std::error_code odd;
        if ((ending == ".json" || ending == ".jsonl" || ending == ".csv") && at->is_regular_file(odd))
            files.push_back(at->path());
    }
    if (error)
        return Error{ErrorCode::kUsage, fmt::format("Cannot read the folder {}: {}", folder, error.message()),
                     "Name one that you may read."};
    std::sort(files.begin(), files.end());
    return files;
}

/// The processors that a file beside results names; empty where there is none.
std::string machine_in(const fs::path& hardware) {
    return serde::machine_of_hardware(system::read_file(hardware.string()).value_or(""));
}

/// What the hardware.json of a folder tells is that of the results in it, unless they tell themselves.
void tell_machine(const std::string& machine, serde::MeasuredFile& file) {
    for (serde::MeasuredWorkload& workload : file.workloads)
        if (!machine.empty() && !workload.identity.contains("hardware"))
            workload.identity.try_emplace("machine", machine);
}

/// What of a folder can be read as results. The rest is named in a note.
Result<std::vector<serde::MeasuredFile>> read_folder(const std::string& folder, std::vector<std::string>& notes) {
    const auto files = files_of(folder);
    if (!files) return files.error();
    std::vector<serde::MeasuredFile> read;
    std::string others;
    std::string machine;
    for (const fs::path& file : *files) {
        if (auto one = read_one(file.string())) {
            read.push_back(std::move(*one));
            continue;
        }
        const std::string named = file.filename() == kHardware ? machine_in(file) : "";
        if (named.empty()) {
            others += (others.empty() ? "" : ", ") + base::one_line(file.filename().string());
        } else {
            machine = named;
        }
    }
    for (serde::MeasuredFile& file : read) tell_machine(machine, file);
    if (read.empty())
        return Error{ErrorCode::kUsage, fmt::format("{} has no result file", folder),
                     others.empty() ? "It has no *.json, *.jsonl or *.csv." : "These are none: " + others};
    if (!others.empty()) notes.push_back(fmt::format("{}: no results in {}", folder, others));
    return read;
}

}  // namespace

Result<compare::Side> read_side(const std::string& word) {
    auto [path, wanted] = exists(word) ? std::pair{word, compare::Wanted{}} : compare::split_selection(word);
    std::vector<std::string> notes;
    std::vector<serde::MeasuredFile> files;
    if (is_folder(path)) {
        auto read = read_folder(path, notes);
        if (!read) return read.error();
        files = std::move(*read);
    } else {
        auto read = read_one(path);
        if (!read) return read.error();
        // The pair of files that a machine has in a folder of machines.
        if (const fs::path file(path); file.filename() == "benchmark.json")
            tell_machine(machine_in(file.parent_path() / kHardware), *read);
        files.push_back(std::move(*read));
    }
    auto side = compare::make_side(word == "-" ? "standard input" : word, wanted, files);
    if (side) side->notes.insert(side->notes.begin(), notes.begin(), notes.end());
    return side;
}

}  // namespace velollm::cli
