#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace velollm::wire {

/// Reads single values out of a server's JSON by pointer (RFC 6901), e.g. "/message/content" or "/models/0/name".
///
/// A value of another type than the one asked for, and a null, count as absent. Views are valid until the next parse().
/// One reader serves a whole stream: its buffers are kept.
class JsonReader {
public:
    JsonReader();
    ~JsonReader();
    JsonReader(JsonReader&&) noexcept;
    JsonReader& operator=(JsonReader&&) noexcept;

    /// False when `json` isn't one complete value. Afterwards every value is absent.
    bool parse(std::string_view json);

    std::optional<std::string_view> text(std::string_view pointer) const;
    std::optional<std::int64_t> integer(std::string_view pointer) const;  ///< also a double without a fraction
    std::optional<double> number(std::string_view pointer) const;
    std::optional<bool> boolean(std::string_view pointer) const;
    /// Number of elements of an array or of members of an object.
    std::optional<std::size_t> size(std::string_view pointer) const;
    bool has(std::string_view pointer) const;  ///< something stands there, even null
    /// The value as JSON text without white space.
    std::optional<std::string> json(std::string_view pointer) const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// A count that was written as 5.0; nothing when it has a fraction or is beyond what a double can count.
std::optional<std::int64_t> whole_number(double value);

}  // namespace velollm::wire
