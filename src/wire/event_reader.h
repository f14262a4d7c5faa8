#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace velollm::wire {

/// Reads the same few fields out of many events that are alike, as the events of token streams are.
///
/// It answers exactly as a JsonReader would, and parses only what is new to it. A shape is an event that was parsed,
/// with its string and number values taken out. A later event is read by a shape when all else is the same, byte for
/// byte, and what stands in the places is a string without control characters, in valid UTF-8, or a number: then it is
/// JSON of the same structure, whatever the values are. All others are parsed. One reader may serve many streams of
/// one server, event by event.
///
/// `fields` are pointers (RFC 6901, without escapes); they are asked for by their number. Values of another type, and
/// nulls, are absent. Views are valid until the next parse(), and as long as what was given to it.
class EventReader {
public:
    /// The pointers must outlive the reader.
    explicit EventReader(std::span<const std::string_view> fields);
    ~EventReader();
    EventReader(EventReader&&) noexcept;
    EventReader& operator=(EventReader&&) noexcept;

    /// False when `json` isn't one complete value. Afterwards every value is absent. `json` is not copied.
    bool parse(std::string_view json);

    std::optional<std::string_view> text(std::size_t field);
    std::optional<std::int64_t> integer(std::size_t field);  ///< also a double without a fraction
    std::optional<double> number(std::size_t field);
    std::optional<bool> boolean(std::size_t field);
    /// Number of elements of an array or of members of an object.
    std::optional<std::size_t> size(std::size_t field);
    bool has(std::size_t field);  ///< something stands there, even null
    /// The value as JSON text without white space; of all of the event without a field.
    std::optional<std::string> json(std::optional<std::size_t> field = {});

    /// Events that had to be parsed so far; the others were read by a shape.
    std::uint64_t parsed() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace velollm::wire
