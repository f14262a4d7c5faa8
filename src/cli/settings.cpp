#include "cli/settings.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <initializer_list>

#include "serde/files.h"

namespace velollm::cli {
namespace {

/// The value of the last of `names` among the words, in each form that CLI11 takes; nothing when none is there.
std::optional<std::string> typed(const std::vector<std::string>& words, std::initializer_list<std::string> names) {
    std::optional<std::string> found;
    for (std::size_t i = 0; i < words.size(); ++i) {
        for (const std::string& name : names) {
            const bool long_name = name.starts_with("--");
            if (words[i] == name) found = i + 1 < words.size() ? words[i + 1] : "";
            if (long_name && words[i].starts_with(name + "=")) found = words[i].substr(name.size() + 1);
            if (!long_name && words[i].starts_with(name) && words[i].size() > name.size()) found = words[i].substr(2);
        }
    }
    return found;
}

/// Whether what was typed leaves no room for a setting of the file, though it is another option.
bool overruled(const std::string& key, const std::vector<std::string>& words, const std::string& file_backend) {
    if (key == "suite" || key == "prompt" || key == "name") return typed(words, {"--suite", "--prompt"}).has_value();
    if (key != "url" && key != "ollama-url") return false;
    // An address belongs to the server that the file means.
    const auto backend = typed(words, {"-b", "--backend"});
    return typed(words, {"--url", "--ollama-url"}) || (backend && *backend != file_backend);
}

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
    return app.get_subcommands([](const CLI::App*) { return true; });
}

/// Whether any command has the option: the file serves them all.
bool known(const std::string& option, const CLI::App& app) {
    const auto commands = commands_of(app);
    return std::any_of(commands.begin(), commands.end(),
                       [&](const CLI::App* command) { return command->get_option_no_throw(option) != nullptr; });
}

/// Settings for the command that is about to run, as words of its command line.
Result<std::vector<std::string>> settings_words(const std::vector<std::string>& arguments, const CLI::App& app,
                                                const CLI::App& command, const system::System& system) {
    const std::string explicit_file = typed(arguments, {"--config"}).value_or("");
    const bool asked = !explicit_file.empty();
    const std::filesystem::path file =
        asked ? explicit_file : (system::config_folder(system) / "velollm.json").string();
    const auto text = system::read_file(file);
    if (!text) {
        if (!asked) return std::vector<std::string>{};
        return Error{ErrorCode::kUsage, fmt::format("Cannot read the settings file {}", file.string()),
                     "Check the path after --config."};
    }
    const auto settings = serde::read_settings(*text, file.string());
    if (!settings) return settings.error();
    std::vector<std::string> words;
    std::string backend = "ollama";
    for (const auto& [key, value] : *settings)
        if (key == "backend") backend = value;
    for (const auto& [key, value] : *settings) {
        const std::string option = "--" + key;
        if (overruled(key, arguments, backend)) continue;
        if (command.get_option_no_throw(option) != nullptr) {
            words.push_back(option + "=" + value);
        } else if (!known(option, app)) {
            return Error{ErrorCode::kUsage, fmt::format("{}: unknown option \"{}\"", file.string(), key),
                         "Options are named as on the command line, without the dashes."};
        }
    }
    return words;
}

}  // namespace

Result<void> add_settings(std::vector<std::string>& arguments, const CLI::App& app, const system::System& system) {
    const auto commands = commands_of(app);
    for (auto word = arguments.begin(); word != arguments.end(); ++word) {
        const auto command = std::find_if(commands.begin(), commands.end(),
                                          [&](const CLI::App* one) { return one->get_name() == *word; });
        if (command == commands.end()) continue;
        const auto words = settings_words(arguments, app, **command, system);
        if (!words) return words.error();
        arguments.insert(word + 1, words->begin(), words->end());
        return {};
    }
    return {};
}

}  // namespace velollm::cli
