#include "wire/event_reader.h"

#include <gtest/gtest.h>

#include <array>

#include "wire/json_reader.h"
#include "wire/sse.h"

namespace velollm::wire {
namespace event_reader_test {

constexpr std::array<std::string_view, 12> kFields = {
    "/content", "/n",       "/deep/list/1/text", "/deep/list", "/deep",        "/stop",
    "/nothing", "/missing", "/deep/x/y",         "/ms",        "/deep/list/0", "/0",
};

/// Numbers that are the same on every machine.
class Dice {
public:
    std::size_t operator()(std::size_t sides) {
        state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
        return (state_ >> 33U) % sides;
    }

private:
    std::uint64_t state_ = 7;
};

/// Both readers on the same bytes, and whether they say the same of everything.
void expect_same(EventReader& reader, const std::string& json) {
    JsonReader truth;
    const bool good = truth.parse(json);
    ASSERT_EQ(reader.parse(json), good) << json;
    EXPECT_EQ(reader.json(), truth.json("")) << json;
    ASSERT_EQ(reader.parse(json), good) << json;
    for (std::size_t i = 0; i < kFields.size(); ++i) {
        EXPECT_EQ(reader.text(i), truth.text(kFields[i])) << json << kFields[i];
        EXPECT_EQ(reader.integer(i), truth.integer(kFields[i])) << json << kFields[i];
        EXPECT_EQ(reader.number(i), truth.number(kFields[i])) << json << kFields[i];
        EXPECT_EQ(reader.boolean(i), truth.boolean(kFields[i])) << json << kFields[i];
        EXPECT_EQ(reader.size(i), truth.size(kFields[i])) << json << kFields[i];
        EXPECT_EQ(reader.has(i), truth.has(kFields[i])) << json << kFields[i];
        EXPECT_EQ(reader.json(i), truth.json(kFields[i])) << json << kFields[i];
    }
}

/// An event with other values in it each time: all that a string or a number can be, and some that they can't.
std::string event(Dice& dice) {
    constexpr std::array<std::string_view, 22> kTexts = {
        "",
        " the",
        "longer than eight bytes",
        "\\n",
        "\\\"q\\\" and \\\\",
        "caf\xC3\xA9",
        "\xF0\x9F\x98\x80",
        "\\u00e9",
        "\\ud83d\\ude00",
        "\\ud800",
        "\xC3",
        "\xED\xA0\x80",
        "a\tb",
        "a\nb",
        "\\x",
        "\\",
        "\"",
        "12345678\"",
        "1234567\xFF",
        "\x7F",
        "/\\/\\b\\f\\r\\t",
        "\xC0\xAF",
    };
    constexpr std::array<std::string_view, 20> kNumbers = {
        "0",
        "1",
        "-7",
        "5.0",
        "1.5",
        "-0",
        "-0.0",
        "123456789012345678",
        "1234567890123456789",
        "18446744073709551615",
        "99999999999999999999",
        "1e3",
        "1.5E-3",
        "01",
        "1.",
        "-",
        "1e999",
        "134.35442697836893",
        "+1",
        "0.1234567890123456789012345678901234567890",
    };
    const auto text = [&] { return std::string(kTexts[dice(dice(3) == 0 ? kTexts.size() : 7)]); };
    const auto number = [&] { return std::string(kNumbers[dice(dice(3) == 0 ? kNumbers.size() : 8)]); };
    std::string json = "{\"content\":\"" + text() + "\", \"n\" : " + number() + ",\"deep\":{\"list\":[" + number() +
                       ",{\"text\":\"" + text() + "\"}],\"x\":\"" + text() + "\"},\"stop\":";
    json += dice(8) == 0 ? "true" : "false";
    if (dice(8) == 0) json += ",\"content\":\"again\"";
    if (dice(16) == 0) json += ",\"c\\u006fntent\":\"an escaped key\"";
    return json + ",\"nothing\":null,\"ms\":" + number() + "}";
}

TEST(EventReader, SaysTheSameAsTheParserWhateverStandsInTheEvents) {
    Dice dice;
    EventReader reader(kFields);
    for (int i = 0; i < 4000; ++i) expect_same(reader, event(dice));
    EXPECT_LT(reader.parsed(), 6000u) << "of 8000 readings: or nothing is tested here";
}

TEST(EventReader, SaysTheSameAsTheParserWhateverByteIsWrong) {
    Dice dice;
    EventReader reader(kFields);
    const std::string good =
        R"({"content":" the word","n":12,"deep":{"list":[1.5,{"text":"x"}],"x":""},"stop":false,"nothing":null,"ms":3})";
    const std::string other =
        R"({"content":" a","n":3,"deep":{"list":[2,{"text":"yy"}],"x":"z"},"stop":false,"nothing":null,"ms":4.5})";
    for (std::size_t at = 0; at < good.size(); ++at) {
        for (const char byte : {'"', '\\', '{', '}', ',', ':', '0', '.', '-', 'e', ' ', '\n', '\x1F', '\0', '\xE9'}) {
            expect_same(reader, dice(2) == 0 ? good : other);
            std::string bad = good;
            bad[at] = byte;
            expect_same(reader, bad);
            bad.insert(at, 1, good[at]);
            expect_same(reader, bad);
            expect_same(reader, good.substr(0, at));
        }
    }
}

TEST(EventReader, TheTextsOfAnEventStandBesideEachOther) {
    EventReader reader(kFields);
    for (int i = 0; i < 200; ++i) {
        const std::string json = R"({"content":"a longer text with an escape \n)" + std::to_string(i) +
                                 R"(","deep":{"list":[1,{"text":"and one more \t)" + std::to_string(i) + R"("}]}})";
        ASSERT_TRUE(reader.parse(json));
        const auto first = reader.text(0);
        const auto second = reader.text(2);
        EXPECT_EQ(first, "a longer text with an escape \n" + std::to_string(i));
        EXPECT_EQ(second, "and one more \t" + std::to_string(i));
        EXPECT_EQ(reader.text(0), first);
    }
    EXPECT_EQ(reader.parsed(), 1u) << "an escape can't stay as it is: its place is open from the start";
}

TEST(EventReader, LikeEventsAreParsedOnceOrTwice) {
    EventReader reader(kFields);
    for (int i = 0; i < 1000; ++i) {
        const std::string json = R"({"content":"word)" + std::to_string(i) + R"(","n":)" + std::to_string(i) + "}";
        ASSERT_TRUE(reader.parse(json));
        EXPECT_EQ(reader.text(0), "word" + std::to_string(i));
        EXPECT_EQ(reader.integer(1), i);
    }
    EXPECT_EQ(reader.parsed(), 2u) << "the first shows the shape, the second what differs";
}

TEST(EventReader, StreamsOfSeveralShapesDoNotDisturbEachOther) {
    EventReader reader(kFields);
    const std::array<std::string, 3> kinds = {R"({"content":"a","n":1})", R"({"content":"b","stop":false})",
                                              R"({"deep":{"list":[1,{"text":"c"}]}})"};
    for (int i = 0; i < 300; ++i) ASSERT_TRUE(reader.parse(kinds[static_cast<std::size_t>(i) % 3]));
    EXPECT_EQ(reader.parsed(), 3u);
}

TEST(EventReader, WhatWasOnceWrongDoesNotStay) {
    EventReader reader(kFields);
    const std::string good = R"({"content":"a"})";
    const std::string bad = R"({"content":"a"} x)";
    ASSERT_TRUE(reader.parse(good));
    EXPECT_FALSE(reader.parse(bad));
    EXPECT_EQ(reader.text(0), std::nullopt);
    EXPECT_FALSE(reader.has(0));
    EXPECT_EQ(reader.json(), std::nullopt);
    ASSERT_TRUE(reader.parse(good));
    EXPECT_EQ(reader.text(0), "a");
}

TEST(Sse, WholeEventsAndPiecesGiveTheSameWhateverTheBytes) {
    constexpr std::array<std::string_view, 12> kParts = {
        "data:", "data: x", "\n", "\n\n", "\r", "\r\n", "\r\n\r\n", ":", "data", "event: y", "\xEF\xBB\xBF", "  z",
    };
    Dice dice;
    const auto events = [](std::string_view stream, auto next_piece) {
        SseSplitter splitter;
        std::vector<std::string> out;
        while (!stream.empty()) {
            const std::size_t piece = std::min(next_piece(), stream.size());
            // A copy of the exact size, so that a sanitizer sees a look behind its end.
            const std::string bytes(stream.substr(0, piece));
            splitter.feed(bytes, [&](std::string_view data) { out.emplace_back(data); });
            stream.remove_prefix(piece);
        }
        out.push_back(std::to_string(splitter.pending()));
        return out;
    };
    std::size_t delivered = 0;
    for (int i = 0; i < 3000; ++i) {
        std::string stream;
        for (std::size_t parts = dice(24); parts > 0; --parts) stream += kParts[dice(kParts.size())];
        const auto one_by_one = events(stream, [] { return std::size_t{1}; });
        EXPECT_EQ(events(stream, [&] { return stream.size(); }), one_by_one) << stream;
        EXPECT_EQ(events(stream, [&] { return 1 + dice(9); }), one_by_one) << stream;
        delivered += one_by_one.size() - 1;
    }
    EXPECT_GT(delivered, 1000u);
}

}  // namespace event_reader_test
}  // namespace velollm::wire
