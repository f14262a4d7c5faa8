#pragma once

#include "cli/args.h"

namespace CLI {
class App;
}

namespace velollm::cli {

/// What was typed, before it is read.
struct CompareWords {
    std::string delta;
    std::string vary;
    bool json = false;
};

/// Adds the command `compare` with its own options, which are put into `args` and `words`.
CLI::App* add_compare(CLI::App& app, CompareArgs& args, CompareWords& words);

/// Takes `words` over into `args`.
Result<void> finish_compare(const CompareWords& words, CompareArgs& args);

}  // namespace velollm::cli
