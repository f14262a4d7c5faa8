#include "serde/files.h"

#include <set>

#include "fuzz.h"

namespace {

using velollm::fuzz::require;

void check_error(const velollm::Error& error) {
    require(!error.message.empty() && !error.hint.empty(), "an error says what and what to do");
}

}  // namespace

/// Whatever a user's file holds, it is a suite, settings, or refused with a reason.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = velollm::fuzz::as_text(data, size);
    if (const auto suite = velollm::serde::read_suite(text, "fuzz")) {
        require(!suite->empty(), "a suite has a benchmark");
        for (const auto& config : *suite) {
            require(!config.prompt.empty() && !config.name.empty(), "a benchmark has a name and a prompt");
            require(config.max_tokens >= 1 && config.iterations >= 1, "a benchmark asks for something");
        }
    } else {
        check_error(suite.error());
    }
    if (const auto settings = velollm::serde::read_settings(text, "fuzz")) {
        std::set<std::string> names;
        for (const auto& [name, value] : *settings) require(names.insert(name).second, "a setting is given once");
    } else {
        check_error(settings.error());
    }
    return 0;
}
