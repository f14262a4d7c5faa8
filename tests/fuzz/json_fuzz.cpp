#include "wire/json_reader.h"

#include "fuzz.h"

namespace {

using velollm::fuzz::require;
using velollm::wire::JsonReader;

void check_value(const JsonReader& json, std::string_view pointer) {
    const int kinds = int{json.text(pointer).has_value()} + int{json.number(pointer).has_value()} +
                      int{json.boolean(pointer).has_value()} + int{json.size(pointer).has_value()};
    require(kinds <= 1, "a value is of one kind");
    require(kinds == 0 || json.has(pointer), "a value that can be read is there");
    require(!json.integer(pointer) || json.number(pointer), "an integer is a number");
    require(json.json(pointer).has_value() == json.has(pointer), "what is there has a text");
}

}  // namespace

/// The first line is a pointer, the rest a document.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input = velollm::fuzz::as_text(data, size);
    const std::size_t end = input.find('\n');
    const std::string_view pointer = input.substr(0, end);
    const std::string_view document = end == std::string_view::npos ? std::string_view() : input.substr(end + 1);

    JsonReader json;
    if (!json.parse(document)) {
        require(!json.has("") && !json.has(pointer), "a text that isn't JSON has no values");
        return 0;
    }
    check_value(json, "");
    check_value(json, pointer);
    const std::string shortest = *json.json("");
    require(json.parse(shortest), "the text of a value is JSON");
    require(*json.json("") == shortest, "the text of a value stays as it is");
    return 0;
}
