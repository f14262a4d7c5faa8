#include <gtest/gtest.h>

#include "wire/json_reader.h"
#include "wire/ndjson.h"
#include "wire/sse.h"
#include "wire/url.h"

namespace velollm::wire {
namespace wire_test {

std::vector<std::string> sse_events(std::string_view stream, std::size_t piece) {
    SseSplitter splitter;
    std::vector<std::string> out;
    for (std::size_t i = 0; i < stream.size(); i += piece)
        splitter.feed(stream.substr(i, piece), [&](std::string_view data) { out.emplace_back(data); });
    return out;
}

std::vector<std::string> lines(std::string_view stream, std::size_t piece) {
    NdjsonSplitter splitter;
    std::vector<std::string> out;
    for (std::size_t i = 0; i < stream.size(); i += piece)
        splitter.feed(stream.substr(i, piece), [&](std::string_view line) { out.emplace_back(line); });
    return out;
}

constexpr std::string_view kHostile =
    "\xEF\xBB\xBF: ping\n\ndata: one\n\nevent: x\r\ndata:  two\r\ndata:\xC3\xA9\r\n\r\nid: 7\rdata\r\r\n\ndatabase: "
    "no\n\ndata: cut";

TEST(Sse, AnyCutOfTheSameBytesGivesTheSameEvents) {
    const std::vector<std::string> whole{"one", " two\n\xC3\xA9", ""};
    for (std::size_t piece = 1; piece <= kHostile.size(); ++piece)
        EXPECT_EQ(sse_events(kHostile, piece), whole) << piece;
}

TEST(Sse, AReplyThatStopsInsideAnEventIsNotDelivered) {
    SseSplitter splitter;
    int delivered = 0;
    splitter.feed("data: {\"a\":1}", [&](std::string_view) { ++delivered; });
    EXPECT_EQ(delivered, 0);
    EXPECT_EQ(splitter.pending(), 13u);
}

TEST(Ndjson, AnyCutOfTheSameBytesGivesTheSameLines) {
    constexpr std::string_view kStream = "{\"a\":1}\n\n\r\n{\"b\":\"\xC3\xA9\"}\r\n{\"c\":3}";
    const std::vector<std::string> whole{"{\"a\":1}", "{\"b\":\"\xC3\xA9\"}"};
    for (std::size_t piece = 1; piece <= kStream.size(); ++piece) EXPECT_EQ(lines(kStream, piece), whole) << piece;
}

TEST(Ndjson, TheUnfinishedLineIsHeldBack) {
    NdjsonSplitter splitter;
    splitter.feed("{\"a\":1}\n{\"b\"", [](std::string_view) {});
    EXPECT_EQ(splitter.pending(), "{\"b\"");
}

TEST(JsonReader, ReadsByPointerAndTypes) {
    JsonReader json;
    ASSERT_TRUE(json.parse(R"({"a":{"b":"x","n":5,"d":5.0,"f":1.5,"t":true,"z":null},"l":[1,2,{"k":"v"}]})"));
    EXPECT_EQ(json.text("/a/b"), "x");
    EXPECT_EQ(json.integer("/a/n"), 5);
    EXPECT_EQ(json.integer("/a/d"), 5) << "some servers write counts as 5.0";
    EXPECT_EQ(json.integer("/a/f"), std::nullopt);
    EXPECT_EQ(json.number("/a/n"), 5.0);
    EXPECT_EQ(json.boolean("/a/t"), true);
    EXPECT_EQ(json.size("/l"), 3u);
    EXPECT_EQ(json.text("/l/2/k"), "v");
    EXPECT_EQ(json.json("/l"), R"([1,2,{"k":"v"}])");
    EXPECT_TRUE(json.has("/a/z"));
    for (const char* absent : {"/a/z", "/a/x", "/l/9", "/a/b/c"}) EXPECT_EQ(json.text(absent), std::nullopt) << absent;
}

TEST(JsonReader, WhatIsNotOneWholeValueHasNothingInIt) {
    JsonReader json;
    ASSERT_TRUE(json.parse("{\"a\":1}"));
    for (const char* broken : {"", "{\"a\":1", "{\"a\":1} x", "<html>", "{\"a\":\"\xff\"}"}) {
        EXPECT_FALSE(json.parse(broken)) << broken;
        EXPECT_EQ(json.integer("/a"), std::nullopt) << broken;
    }
}

TEST(Url, AnAddressIsReadAsAUserTypesIt) {
    EXPECT_EQ(parse_url("http://localhost:1234/", 9)->text(), "http://localhost:1234");
    EXPECT_EQ(parse_url("localhost", 9)->text(), "http://localhost:9");
    EXPECT_EQ(parse_url("http://host", 9)->text(), "http://host:80");
    EXPECT_EQ(parse_url("https://host/ollama/", 9)->text(), "https://host:443/ollama");
    EXPECT_EQ(parse_url("[::1]:80", 9)->text(), "http://[::1]:80");
    EXPECT_EQ(parse_url("::1", 9)->text(), "http://[::1]:9");
    EXPECT_EQ(parse_url(" HTTP://h:1?x=1#y ", 9)->text(), "http://h:1");
}

TEST(Url, WhatIsNoAddressIsRefusedWithTheWayToWriteOne) {
    for (const char* wrong :
         {"", "http://", "ftp://h", "http://h:99999", "http://h:x", "h h", "http://u:p@h", "http://[::1"}) {
        const auto url = parse_url(wrong, 9);
        ASSERT_FALSE(url) << wrong;
        EXPECT_EQ(url.error().code, ErrorCode::kUsage) << wrong;
        EXPECT_NE(url.error().hint.find("http://"), std::string::npos) << wrong;
    }
}

TEST(Url, OllamaHostInAllItsForms) {
    const std::pair<const char*, const char*> rows[] = {
        {"", "http://localhost:11434"},
        {"0.0.0.0", "http://127.0.0.1:11434"},
        {"0.0.0.0:8000", "http://127.0.0.1:8000"},
        {"192.168.1.5", "http://192.168.1.5:11434"},
        {"example.com:1234", "http://example.com:1234"},
        {":5555", "http://localhost:5555"},
        {"5555", "http://localhost:5555"},
        {"http://example.com", "http://example.com:80"},
        {"https://example.com", "https://example.com:443"},
        {"https://example.com:8443/path/", "https://example.com:8443/path"},
        {"example.com:99999", "http://example.com:11434"},
        {"[::]", "http://[::1]:11434"},
        {"[::1]:1", "http://[::1]:1"},
        {"::1", "http://[::1]:11434"},
        {"  'example.com' ", "http://example.com:11434"},
    };
    for (const auto& [value, url] : rows) EXPECT_EQ(resolve_ollama_host(value).text(), url) << value;
}

}  // namespace wire_test
}  // namespace velollm::wire
