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

/// What of a folder can be read as results. The rest, as the hardware.json beside them, is named in a note.
Result<std::vector<serde::MeasuredFile>> read_folder(const std::string& folder, std::vector<std::string>& notes) {
    const auto files = files_of(folder);
    if (!files) return files.error();
    std::vector<serde::MeasuredFile> read;
    std::string others;
    for (const fs::path& file : *files) {
        auto one = read_one(file.string());
        if (one) {
            read.push_back(std::move(*one));
        } else {
            others += (others.empty() ? "" : ", ") + file.filename().string();
        }
    }
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
        files.push_back(std::move(*read));
    }
    auto side = compare::make_side(word == "-" ? "standard input" : word, wanted, files);
    if (side) side->notes.insert(side->notes.begin(), notes.begin(), notes.end());
    return side;
}

}  // namespace velollm::cli
