#include "system/system.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "support/temp_folder.h"

namespace velollm::system {
namespace system_test {

namespace fs = std::filesystem;

using test::TempFolder;

std::size_t files_in(const fs::path& folder) {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(AtomicWrite, ReplacesAFileAndLeavesNothingBeside) {
    const TempFolder folder;
    const fs::path file = folder.path() / "r.json";
    ASSERT_TRUE(write_file_atomic(file, "one"));
    ASSERT_TRUE(write_file_atomic(file, "two"));
    EXPECT_EQ(read_file(file), "two");
    EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(AtomicWrite, FollowsALinkInsteadOfReplacingIt) {
    const TempFolder folder;
    ASSERT_TRUE(write_file_atomic(folder.path() / "real", "one"));
    fs::create_symlink(folder.path() / "real", folder.path() / "link");
    ASSERT_TRUE(write_file_atomic(folder.path() / "link", "two"));
    EXPECT_TRUE(fs::is_symlink(folder.path() / "link"));
    EXPECT_EQ(read_file(folder.path() / "real"), "two");
}

TEST(AtomicWrite, WritesIntoWhatIsNoFile) {
    const TempFolder folder;
    const fs::path pipe = folder.path() / "pipe";
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    fs::create_symlink(pipe, folder.path() / "link");
    const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
    ASSERT_GE(reader, 0);
    ASSERT_TRUE(check_writable(folder.path() / "link"));
    ASSERT_TRUE(write_file_atomic(folder.path() / "link", "through"));
    std::array<char, 16> text{};
    EXPECT_EQ(::read(reader, text.data(), text.size()), 7);
    ::close(reader);
    EXPECT_TRUE(fs::is_fifo(fs::status(pipe)));
    EXPECT_TRUE(fs::is_symlink(folder.path() / "link"));
    EXPECT_EQ(files_in(folder.path()), 2U);
    EXPECT_TRUE(write_file_atomic("/dev/null", "gone"));
    EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST(AtomicWrite, SaysWhatIsWrongAndWhatToDo) {
    const TempFolder folder;
    const auto missing = write_file_atomic(folder.path() / "no" / "r.json", "x");
    ASSERT_FALSE(missing);
    EXPECT_NE(missing.error().message.find("No such file or directory"), std::string::npos);
    EXPECT_NE(missing.error().hint.find("mkdir -p"), std::string::npos);
    const auto folder_itself = check_writable(folder.path());
    ASSERT_FALSE(folder_itself);
    EXPECT_NE(folder_itself.error().message.find("Is a directory"), std::string::npos);
    ASSERT_TRUE(write_file_atomic(folder.path() / "file", "x"));
    EXPECT_FALSE(check_writable(folder.path() / "file" / "r.json"));
}

TEST(AtomicWrite, AskingLeavesNothingBehind) {
    const TempFolder folder;
    ASSERT_TRUE(check_writable(folder.path() / "r.json"));
    EXPECT_EQ(files_in(folder.path()), 0u);
    ASSERT_TRUE(write_file_atomic(folder.path() / "r.json", "kept"));
    ASSERT_TRUE(check_writable(folder.path() / "r.json"));
    EXPECT_EQ(read_file(folder.path() / "r.json"), "kept");
}

TEST(Folders, FollowTheBaseDirectorySpecification) {
    EXPECT_EQ(cache_folder({.env = {{"HOME", "/h"}}}), "/h/.cache/velollm");
    EXPECT_EQ(cache_folder({.env = {{"HOME", "/h"}, {"XDG_CACHE_HOME", "/c"}}}), "/c/velollm");
    EXPECT_EQ(config_folder({.env = {{"HOME", "/h"}}}), "/h/.config/velollm");
}

TEST(MachineTime, BusyIsWhatIsNeitherIdleNorWaitingForTheDisk) {
    const auto time = parse_machine_time("cpu  100 1 50 1000 30 2 3 4 7 0\ncpu0 1 1 1 1\n", 100);
    ASSERT_TRUE(time);
    EXPECT_EQ(time->busy, std::chrono::milliseconds(1600));
    EXPECT_EQ(time->all, std::chrono::milliseconds(11900));
    for (const char* wrong : {"", "cpu  x", "cpu0 1 2 3 4 5 6 7 8", "cpu  1 2 3"})
        EXPECT_FALSE(parse_machine_time(wrong, 100)) << wrong;
}

TEST(Time, AStampIsUtcInIsoForm) {
    EXPECT_EQ(utc_timestamp(1736937000), "2025-01-15T10:30:00Z");
}

}  // namespace system_test
}  // namespace velollm::system
