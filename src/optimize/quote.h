#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace velollm::optimize {

/// A value as one word of the language, whatever it holds: it can't end the word, and nothing in it is expanded. A NUL,
/// which no variable can hold, ends it.

std::string sh_word(std::string_view value);          ///< sh, dash, bash, zsh
std::string shell_word(const std::string& value);     ///< the same for a command that is printed: bare where it can be
std::string fish_word(std::string_view value);        ///< fish
std::string powershell_word(std::string_view value);  ///< PowerShell, all of whose single quotes are doubled
std::string systemd_word(std::string_view value);     ///< Environment= of a unit (systemd.syntax(7), systemd.unit(5))
std::string envfile_word(std::string_view value);     ///< a file for EnvironmentFile= (systemd.exec(5))
std::string yaml_text(std::string_view value);        ///< YAML, in ASCII
std::string compose_text(std::string_view value);     ///< the same for Docker Compose, which expands $

/// A name of a variable, a parameter or a flag: letters, digits, '_', and '-'.
bool is_plain_name(std::string_view name);
/// A number or a plain word: what a Modelfile, an INI file, or a command takes without quotes.
bool is_plain_value(std::string_view value);

/// Text behind a comment mark: one line, without control characters.
std::string comment(std::string_view text);

}  // namespace velollm::optimize
