#include "wire/event_reader.h"

#include "backend/event_fields.h"
#include "fuzz.h"
#include "wire/json_reader.h"

using velollm::backend::kEventFields;
using velollm::fuzz::require;

/// Each line is an event. Read by the shape of those before it or parsed: the answers are the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view input = velollm::fuzz::as_text(data, size);
    velollm::wire::EventReader events(kEventFields);
    velollm::wire::JsonReader truth;
    while (!input.empty()) {
        const std::size_t end = input.find('\n');
        // Of its own, so that a look beyond its end is seen.
        const std::string event(input.substr(0, end));
        input.remove_prefix(end == std::string_view::npos ? input.size() : end + 1);
        const bool good = truth.parse(event);
        require(events.parse(event) == good, "a shape fits JSON only");
        for (std::size_t i = 0; i < kEventFields.size(); ++i) {
            const std::string_view pointer = kEventFields[i];
            require(events.text(i) == truth.text(pointer), "the text of a field");
            require(events.integer(i) == truth.integer(pointer), "the integer of a field");
            require(events.number(i) == truth.number(pointer), "the number of a field");
            require(events.boolean(i) == truth.boolean(pointer), "the boolean of a field");
            require(events.size(i) == truth.size(pointer), "the size of a field");
            require(events.has(i) == truth.has(pointer), "whether a field is there");
        }
        require(events.json() == truth.json(""), "the text of all");
    }
    return 0;
}
