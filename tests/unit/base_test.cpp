#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/digest.h"
#include "base/json_writer.h"
#include "base/text.h"

namespace velollm::base {
namespace base_test {

TEST(JsonWriter, WritesObjectsArraysAndNumbersInOneForm) {
    JsonWriter json;
    json.begin_object().field("a", 1).field("b", "x").key("c").begin_array().value(true).null().value(0.1).end_array();
    json.field("d", 2.50004, 4).field("e", -0.00001, 2).field("f", std::optional<int>{}).end_object();
    EXPECT_EQ(json.text(), R"({"a":1,"b":"x","c":[true,null,0.1],"d":2.5,"e":0,"f":null})");
}

TEST(JsonWriter, WhatJsonHasNoNumberForIsNull) {
    JsonWriter json;
    json.begin_array().value(std::nan("")).value(std::numeric_limits<double>::infinity(), 2).end_array();
    EXPECT_EQ(json.text(), "[null,null]");
}

TEST(JsonWriter, TextIsEscapedAndBytesThatAreNotUtf8AreReplaced) {
    std::string out;
    append_json_string(out, std::string_view("\"\\\n\x01\xC3\xA9\xFF\xED\xA0\x80\xF0\x9F\x9A\x80\xC3", 15));
    EXPECT_EQ(
        out,
        "\"\\\"\\\\\\n\\u0001\xC3\xA9\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xF0\x9F\x9A\x80\xEF\xBF\xBD\"");
}

TEST(JsonWriter, IndentsByLevel) {
    JsonWriter json(2);
    json.begin_object().key("a").begin_array().value(1).value(2).end_array().key("b").begin_object().end_object();
    json.end_object();
    EXPECT_EQ(json.text(), "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {}\n}");
}

TEST(Text, NumbersAreTheWholeTextOrNothing) {
    EXPECT_EQ(parse_int("42"), 42);
    for (const char* wrong : {"", "4x", " 4", "99999999999999999999", "1.5"})
        EXPECT_EQ(parse_int(wrong), std::nullopt) << wrong;
    EXPECT_EQ(parse_double("1.5"), 1.5);
}

TEST(Text, EditDistanceCountsTheFewestEdits) {
    EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
    EXPECT_EQ(edit_distance("", "abc"), 3u);
    EXPECT_EQ(edit_distance("llama3.2:3b", "llama3.2:3b"), 0u);
}

TEST(Text, OffersTheThreeNearestNames) {
    const std::vector<std::string> names{"llama3:8b", "qwen3:30b-a3b", "LLAMA3.1:8b", "llama3.3:70b", "llama3.2:1b"};
    EXPECT_EQ(nearest_names("llama3.2:3b", names, true), "llama3.2:1b, LLAMA3.1:8b, llama3.3:70b");
    EXPECT_EQ(nearest_names("phi4", names, true), "");
    EXPECT_FALSE(nearest_names("phi4", names, false).empty()) << "where anything helps, the nearest are named";
}

TEST(Text, OneLineNeverCutsACharacterOrKeepsAControlOne) {
    EXPECT_EQ(one_line(" a\nb\x1b[0m "), "a b [0m");
    EXPECT_EQ(one_line("\xC3\xA9\xC3\xA9", 3), "\xC3\xA9...");
}

TEST(Digest, Sha256MatchesTheStandard) {
    EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");  // FIPS 180-4
}

TEST(Digest, UuidIsOfVersion7AndSortsByTime) {
    const std::string a = uuid_v7(0x017F22E279B0, 0xCC3, 0x18C4DC0C0C07398F);
    EXPECT_EQ(a, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");  // RFC 9562, appendix A.6
    EXPECT_LT(a, uuid_v7(0x017F22E279B1, 0, 0));
}

}  // namespace base_test
}  // namespace velollm::base
