#include "wire/event_reader.h"

#include <simdjson.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <vector>

#include "wire/json_reader.h"
#include "wire/json_text.h"

namespace velollm::wire {
namespace {

constexpr std::size_t kMaxShapes = 4;
/// Larger events are no token events: they are parsed, and nothing is kept of them.
constexpr std::size_t kMaxShapeBytes = std::size_t{64} << 10U;
/// Longer numbers go to the parser, which knows what is out of range.
constexpr std::ptrdiff_t kMaxInteger = 18;
constexpr std::ptrdiff_t kMaxDecimal = 30;

/// Where a string or number value stands in the text of a shape; of a string, between its quotes. One that has never
/// differed is closed: it is compared like all that surrounds it.
struct Place {
    std::size_t begin;
    std::size_t end;
    bool text;
    bool open;
};

/// What stands in an open place of the event at hand.
struct Filling {
    std::string_view bytes;
    bool escaped;
};

/// What a field is, in all events of a shape.
struct Slot {
    enum class Kind : std::uint8_t { kUnknown, kAbsent, kNull, kTrue, kFalse, kContainer, kText, kNumber };
    Kind kind = Kind::kUnknown;
    std::size_t at = 0;  ///< index of the place; of a container, the number of its children
};

struct Shape {
    std::string text;
    std::vector<Place> places;
    std::vector<Slot> slots;
};

char unescaped(char letter) {
    switch (letter) {
        case 'n': return '\n';
        case 't': return '\t';
        case 'r': return '\r';
        case 'b': return '\b';
        case 'f': return '\f';
        case '"':
        case '\\':
        case '/': return letter;
        default: return '\0';
    }
}

/// Bytes that end the quick way through a string: the quote, and all that needs a second look.
constexpr std::array<bool, 256> kSpecial = [] {
    std::array<bool, 256> table{};
    for (std::size_t c = 0; c < table.size(); ++c) table[c] = c < 0x20 || c >= 0x80 || c == '"' || c == '\\';
    return table;
}();

/// Eight bytes at once: whether any of them is special.
bool any_special(const char* bytes) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, sizeof word);
    constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
    constexpr std::uint64_t kHighs = 0x8080808080808080ULL;
    const auto zero_in = [](std::uint64_t x) { return (x - kOnes) & ~x; };
    const std::uint64_t quote = zero_in(word ^ (kOnes * '"'));
    const std::uint64_t backslash = zero_in(word ^ (kOnes * '\\'));
    const std::uint64_t control = (word - kOnes * 0x20) & ~word;
    return ((quote | backslash | control | word) & kHighs) != 0;
}

/// The end of the string that begins at `from`, its quote; null when it must go to the parser.
const char* string_end(const char* from, const char* end, bool& escaped) {
    bool ascii = true;
    escaped = false;
    const char* at = from;
    for (;;) {
        while (end - at >= 8 && !any_special(at)) at += 8;
        while (at != end && !kSpecial[static_cast<unsigned char>(*at)]) ++at;
        if (at == end) return nullptr;
        if (*at == '"') break;
        if (*at == '\\') {
            if (end - at < 2 || unescaped(at[1]) == '\0') return nullptr;
            escaped = true;
            at += 2;
        } else if (static_cast<unsigned char>(*at) >= 0x80) {
            ascii = false;
            ++at;
        } else {
            return nullptr;
        }
    }
    return ascii || simdjson::validate_utf8(from, static_cast<std::size_t>(at - from)) ? at : nullptr;
}

const char* skip_digits(const char* at, const char* end) {
    while (at != end && *at >= '0' && *at <= '9') ++at;
    return at;
}

/// The end of the number that begins at `from`; null when it must go to the parser.
const char* number_end(const char* from, const char* end) {
    const char* at = from;
    if (at != end && *at == '-') ++at;
    const char* const digits = at;
    at = skip_digits(at, end);
    if (at == digits || (*digits == '0' && at - digits > 1)) return nullptr;
    if (at == end || (*at != '.' && *at != 'e' && *at != 'E')) return at - from <= kMaxInteger ? at : nullptr;
    if (*at != '.') return nullptr;
    const char* const fraction = at + 1;
    at = skip_digits(fraction, end);
    if (at == fraction || at - from > kMaxDecimal || (at != end && (*at == 'e' || *at == 'E'))) return nullptr;
    return at;
}

/// The places of an event; nothing when a key has escapes, since names are compared as they are written.
std::optional<std::vector<Place>> find_places(std::string_view json) {
    std::vector<Place> places;
    for (std::size_t at = 0; at < json.size();) {
        const char c = json[at];
        if (c == '"') {
            const std::size_t end = end_of_string(json, at);
            const std::string_view bytes = json.substr(at + 1, end - at - 2);
            const bool escaped = bytes.find('\\') != std::string_view::npos;
            const std::size_t next = skip_space(json, end);
            if (next == json.size() || json[next] != ':') {
                places.push_back({at + 1, end - 1, true, escaped});
            } else if (escaped) {
                return std::nullopt;
            }
            at = end;
        } else if (c == '-' || (c >= '0' && c <= '9')) {
            const std::size_t end = end_of_number(json, at);
            const char* const from = json.data() + at;
            places.push_back({at, end, false, number_end(from, json.data() + end) != json.data() + end});
            at = end;
        } else {
            ++at;
        }
    }
    return places;
}

}  // namespace

struct EventReader::State {
    enum class By { kNothing, kShape, kParser };

    std::span<const std::string_view> fields;
    JsonReader parser;
    std::vector<Shape> shapes;
    std::size_t oldest = 0;  // shape to give up for a new one
    std::vector<Filling> fillings;
    std::string unescaped_text;
    std::string_view event;
    By by = By::kNothing;
    bool parser_has_it = false;
    std::size_t shape = 0;
    std::uint64_t parsed = 0;

    /// Whether the event is one of this shape; then with what in its open places.
    bool fits(const Shape& with) {
        const char* at = event.data();
        const char* const end = at + event.size();
        const char* const text = with.text.data();
        std::size_t done = 0;
        for (std::size_t i = 0; i < with.places.size(); ++i) {
            const Place& place = with.places[i];
            if (!place.open) continue;
            const std::size_t same = place.begin - done;
            if (static_cast<std::size_t>(end - at) < same || std::memcmp(at, text + done, same) != 0) return false;
            at += same;
            bool escaped = false;
            const char* const stop = place.text ? string_end(at, end, escaped) : number_end(at, end);
            if (stop == nullptr) return false;
            fillings[i] = {{at, static_cast<std::size_t>(stop - at)}, escaped};
            at = stop;
            done = place.end;
        }
        const std::size_t rest = with.text.size() - done;
        return static_cast<std::size_t>(end - at) == rest && std::memcmp(at, text + done, rest) == 0;
    }

    bool read_by_shape() {
        for (std::size_t tried = 0; tried < shapes.size(); ++tried) {
            const std::size_t i = (shape + tried) % shapes.size();  // the last one first
            if (!fits(shapes[i])) continue;
            shape = i;
            by = By::kShape;
            return true;
        }
        return false;
    }

    /// Takes the event for a shape of which only values differ; these places are open from now on.
    bool opens(Shape& known, const std::vector<Place>& places) const {
        if (known.places.size() != places.size()) return false;
        std::size_t done = 0;
        std::size_t done_here = 0;
        const std::string_view text = known.text;
        for (std::size_t i = 0; i <= places.size(); ++i) {
            const bool last = i == places.size();
            const std::size_t end = last ? text.size() : known.places[i].begin;
            const std::size_t end_here = last ? event.size() : places[i].begin;
            if (text.substr(done, end - done) != event.substr(done_here, end_here - done_here)) return false;
            if (last) break;
            done = known.places[i].end;
            done_here = places[i].end;
        }
        for (std::size_t i = 0; i < places.size(); ++i) {
            Place place = places[i];
            const Place& old = known.places[i];
            place.open =
                place.open || old.open ||
                text.substr(old.begin, old.end - old.begin) != event.substr(place.begin, place.end - place.begin);
            known.places[i] = place;
        }
        known.text = event;
        return true;
    }

    void learn() {
        if (event.size() > kMaxShapeBytes) return;
        auto places = find_places(event);
        if (!places) return;
        if (fillings.size() < places->size()) fillings.resize(places->size());
        for (Shape& known : shapes)
            if (opens(known, *places)) return;
        Shape fresh{std::string(event), std::move(*places), std::vector<Slot>(fields.size())};
        if (shapes.size() < kMaxShapes) {
            shapes.push_back(std::move(fresh));
        } else {
            shapes[oldest] = std::move(fresh);
            oldest = (oldest + 1) % kMaxShapes;
        }
    }

    bool parse_it() {
        parser_has_it = parser.parse(event);
        return parser_has_it;
    }

    const Slot& slot(std::size_t field) {
        Shape& of = shapes[shape];
        Slot& known = of.slots[field];
        if (known.kind == Slot::Kind::kUnknown) known = find_slot(of, fields[field]);
        return known;
    }

    static Slot find_slot(const Shape& of, std::string_view pointer) {
        using Kind = Slot::Kind;
        const auto at = find_value(of.text, pointer);
        if (!at) return {Kind::kAbsent};
        switch (of.text[*at]) {
            case 'n': return {Kind::kNull};
            case 't': return {Kind::kTrue};
            case 'f': return {Kind::kFalse};
            case '{':
            case '[': return {Kind::kContainer, count_children(of.text, *at)};
            default: break;
        }
        const bool text = of.text[*at] == '"';
        const std::size_t begin = text ? *at + 1 : *at;
        std::size_t i = 0;
        while (of.places[i].begin != begin) ++i;
        return {text ? Kind::kText : Kind::kNumber, i};
    }

    std::string_view bytes(std::size_t place) {
        const Place& where = shapes[shape].places[place];
        if (!where.open) return std::string_view(shapes[shape].text).substr(where.begin, where.end - where.begin);
        Filling& filling = fillings[place];
        if (filling.escaped) unescape(filling);
        return filling.bytes;
    }

    void unescape(Filling& filling) {
        // All strings of an event together are no longer than it is: the text never moves.
        unescaped_text.reserve(event.size());
        const std::size_t begin = unescaped_text.size();
        for (std::size_t i = 0; i < filling.bytes.size(); ++i)
            unescaped_text += filling.bytes[i] == '\\' ? unescaped(filling.bytes[++i]) : filling.bytes[i];
        filling = {std::string_view(unescaped_text).substr(begin), false};
    }

    /// The number of a field, as a whole number or not.
    template <typename T>
    std::optional<T> read_number(std::size_t field) {
        const Slot& found = slot(field);
        if (found.kind != Slot::Kind::kNumber) return std::nullopt;
        const std::string_view digits = bytes(found.at);
        T value{};
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
        return value;
    }
};

EventReader::EventReader(std::span<const std::string_view> fields) : state_(std::make_unique<State>()) {
    state_->fields = fields;
}
EventReader::~EventReader() = default;
EventReader::EventReader(EventReader&&) noexcept = default;
EventReader& EventReader::operator=(EventReader&&) noexcept = default;

bool EventReader::parse(std::string_view json) {
    State& s = *state_;
    s.event = json;
    s.by = State::By::kNothing;
    s.parser_has_it = false;
    s.unescaped_text.clear();
    if (s.read_by_shape()) return true;
    ++s.parsed;
    if (!s.parse_it()) return false;
    s.learn();
    if (!s.read_by_shape()) s.by = State::By::kParser;
    return true;
}

std::optional<std::string_view> EventReader::text(std::size_t field) {
    if (state_->by != State::By::kShape) return state_->parser.text(state_->fields[field]);
    const Slot& slot = state_->slot(field);
    if (slot.kind != Slot::Kind::kText) return std::nullopt;
    return state_->bytes(slot.at);
}

std::optional<std::int64_t> EventReader::integer(std::size_t field) {
    if (state_->by != State::By::kShape) return state_->parser.integer(state_->fields[field]);
    if (const auto value = state_->read_number<std::int64_t>(field)) return value;
    const auto value = state_->read_number<double>(field);
    return value ? whole_number(*value) : std::nullopt;
}

std::optional<double> EventReader::number(std::size_t field) {
    if (state_->by != State::By::kShape) return state_->parser.number(state_->fields[field]);
    return state_->read_number<double>(field);
}

std::optional<bool> EventReader::boolean(std::size_t field) {
    if (state_->by != State::By::kShape) return state_->parser.boolean(state_->fields[field]);
    const Slot::Kind kind = state_->slot(field).kind;
    if (kind != Slot::Kind::kTrue && kind != Slot::Kind::kFalse) return std::nullopt;
    return kind == Slot::Kind::kTrue;
}

std::optional<std::size_t> EventReader::size(std::size_t field) {
    if (state_->by != State::By::kShape) return state_->parser.size(state_->fields[field]);
    const Slot& slot = state_->slot(field);
    return slot.kind == Slot::Kind::kContainer ? std::optional(slot.at) : std::nullopt;
}

bool EventReader::has(std::size_t field) {
    if (state_->by != State::By::kShape) return state_->parser.has(state_->fields[field]);
    return state_->slot(field).kind != Slot::Kind::kAbsent;
}

std::optional<std::string> EventReader::json(std::optional<std::size_t> field) {
    if (state_->by == State::By::kShape && !state_->parser_has_it) state_->parse_it();
    return state_->parser.json(field ? state_->fields[*field] : std::string_view());
}

std::uint64_t EventReader::parsed() const {
    return state_->parsed;
}

}  // namespace velollm::wire
