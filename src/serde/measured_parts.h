#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serde/json_value.h"
#include "serde/measured.h"

/// What the importers of result files share.
namespace velollm::serde {

/// Whether the text has "KEY" as a JSON text has it. In a text within JSON the quotes are escaped, so a prompt that
/// speaks of the key is no match; a cut-off file still is one.
bool mentions(std::string_view text, std::string_view key);
/// The first character that is no space; 0 when there is none.
char first_of(std::string_view text);

/// A text of a known form that is broken.
Error broken_file(const std::string& source, std::string_view tool, std::string_view what);

/// The text of a file without control characters: in a name they could steer the terminal that it is printed on.
std::string cleaned(std::string_view text);

/// Sets a name of the identity where there is something to say.
void tell(MeasuredWorkload& workload, const char* name, std::string value);

/// Takes the values over in the order in which they were taken; nothing where there are none.
void add_samples(MeasuredWorkload& workload, std::string key, bool higher_is_better, std::vector<double> samples);
/// A figure that stands alone; nothing where it has none.
void add_stated(MeasuredWorkload& workload, MeasuredMetric metric);

/// The last part of a path, of this system's or of another one's.
std::string file_name(std::string_view path);

/// Lines without their ends; a last one without end is one too.
std::vector<std::string_view> lines_of(std::string_view text);

}  // namespace velollm::serde
