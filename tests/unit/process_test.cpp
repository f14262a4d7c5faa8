#include "system/process.h"

#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <fstream>

#include "support/temp_folder.h"

namespace velollm::system {
namespace process_test {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

System here(const fs::path& folder) {
    return {.env = {{"PATH", "/usr/bin:/bin"}, {"TMPDIR", folder.string()}}};
}

/// A shell that carries `script` out.
Process shell(const std::string& script, const System& system) {
    auto process = Process::start({.words = {"/bin/sh", "-c", script}, .env = {{"WORD", "sea"}}}, system);
    if (!process) throw std::runtime_error(process.error().message);
    return std::move(*process);
}

/// Reads until the child has written `mark`; its own end would be told by the returned text.
std::string output_with(Process& process, const std::string& mark) {
    for (;;) {
        const bool over = process.ended().has_value();
        std::string text = process.output(1000);
        if (over || text.find(mark) != std::string::npos) return text;
    }
}

ProcessEnd end_of(Process& process) {
    for (;;)
        if (const auto end = process.ended()) return *end;
}

TEST(Process, KeepsBothOutputsAndTheExitCode) {
    const test::TempFolder folder;
    Process process = shell("echo out; echo \"$WORD\" >&2; exit 3", here(folder.path()));
    EXPECT_EQ(end_of(process).exit_code, 3);
    EXPECT_EQ(process.output(1000), "out\nsea\n");
    EXPECT_EQ(end_of(process).text(), "with exit code 3");
    EXPECT_TRUE(fs::is_empty(folder.path())) << "the output's file has no name";
}

TEST(Process, TellsTheSignalThatKilledIt) {
    const test::TempFolder folder;
    Process process = shell("kill -9 $$", here(folder.path()));
    EXPECT_EQ(end_of(process).signal, SIGKILL);
    EXPECT_EQ(end_of(process).text(), "killed by signal 9");
}

TEST(Process, NeverWaitsForAReaderAndGivesTheEndOfALongOutput) {
    const test::TempFolder folder;
    Process process = shell(
        "i=0; while [ $i -lt 3000 ]; do echo 'a line that is sixty-four characters long, with its end ......'; "
        "i=$((i+1)); done; echo last",
        here(folder.path()));
    EXPECT_EQ(end_of(process).exit_code, 0) << "a pipe would be full after 64 KiB";
    EXPECT_EQ(process.output(5), "last\n");
    EXPECT_EQ(process.output(5), "last\n") << "also after the beginning was dropped";
}

TEST(Process, AProgramThatCannotBeRunIsAnError) {
    const test::TempFolder folder;
    const auto missing = Process::start({.words = {(folder.path() / "none").string()}, .env = {}}, here(folder.path()));
    ASSERT_FALSE(missing);
    EXPECT_NE(missing.error().message.find("No such file"), std::string::npos) << missing.error().message;
}

/// Gone, or dead and waiting for somebody to ask.
bool dead(int pid) {
    const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat");
    return !stat || stat->find(") Z ") != std::string::npos;
}

TEST(Process, StopEndsAlsoWhatIgnoresTheRequestAndItsChildren) {
    const test::TempFolder folder;
    Process process = shell("trap '' TERM; (exec tail -f /dev/null) & echo $!; echo ready; while :; do wait; done",
                            here(folder.path()));
    const int child = std::stoi(output_with(process, "ready"));
    EXPECT_FALSE(dead(child));
    process.stop(50ms);
    EXPECT_EQ(end_of(process).signal, SIGKILL);
    while (!dead(child)) {}
}

TEST(Process, StopLetsItEndByItself) {
    const test::TempFolder folder;
    Process process =
        shell("trap 'echo bye; exit 7' TERM; echo ready; while :; do read -r x || :; done", here(folder.path()));
    output_with(process, "ready");
    process.stop(60s);
    EXPECT_EQ(end_of(process).exit_code, 7);
    EXPECT_EQ(process.output(4), "bye\n");
}

TEST(Process, EndsWithItsOwner) {
    const test::TempFolder folder;
    int pid = 0;
    {
        Process process = shell("echo ready; exec tail -f /dev/null", here(folder.path()));
        output_with(process, "ready");
        pid = process.pid();
        EXPECT_EQ(::kill(pid, 0), 0);
    }
    EXPECT_NE(::kill(pid, 0), 0);
}

TEST(Process, HasAGroupOfItsOwnAndNoDescriptorOfOurs) {
    const test::TempFolder folder;
    const std::ifstream ours("/proc/self/status");
    Process process = shell("ls /proc/self/fd | tr '\\n' ' '; cut -d' ' -f1,5 /proc/$$/stat", here(folder.path()));
    EXPECT_EQ(end_of(process).exit_code, 0);
    const std::string text = process.output(1000);
    // The fourth is ls's own, of the folder that it reads.
    EXPECT_TRUE(text.starts_with("0 1 2 3 ")) << text;
    EXPECT_FALSE(text.starts_with("0 1 2 3 4")) << text;
    EXPECT_NE(text.find(std::to_string(process.pid()) + " " + std::to_string(process.pid())), std::string::npos)
        << text;
}

TEST(Process, ASignalThatWeIgnoreIsNotIgnoredInIt) {
    const test::TempFolder folder;
    const auto before = std::signal(SIGPIPE, SIG_IGN);
    Process process = shell("kill -PIPE $$; echo alive", here(folder.path()));
    EXPECT_EQ(end_of(process).signal, SIGPIPE);
    std::signal(SIGPIPE, before);
}

TEST(Process, IsWaitedForUntilItEndsOrTheTimeIsUp) {
    const System system;
    SteadyClock clock;
    auto quick = Process::start({.words = {"/bin/sh", "-c", "exit 3"}, .env = {}}, system);
    ASSERT_TRUE(quick);
    const auto end = quick->wait(clock.now() + std::chrono::seconds(60));
    ASSERT_TRUE(end);
    EXPECT_EQ(end->exit_code, 3);
    auto slow = Process::start({.words = {"/usr/bin/tail", "-f", "/dev/null"}, .env = {}}, system);
    ASSERT_TRUE(slow);
    EXPECT_FALSE(slow->wait(clock.now()));
}

TEST(ResidentBytes, AreReadFromTheKernelsText) {
    const test::TempFolder folder;
    fs::create_directories(folder.path() / "proc/42");
    std::ofstream(folder.path() / "proc/42/status") << "Name:\tllama\nVmHWM:\t  2000 kB\nVmRSS:\t  1500 kB\n";
    const System system{.root = folder.path(), .env = {}};
    EXPECT_EQ(resident_bytes(system, 42), 1500 * 1024);
    EXPECT_EQ(resident_bytes(system, 43), std::nullopt);
}

TEST(FindProgram, TakesTheFirstExecutableOfThePath) {
    const test::TempFolder folder;
    for (const char* name : {"a", "b"}) {
        fs::create_directories(folder.path() / name);
        std::ofstream(folder.path() / name / "tool") << "#!/bin/sh\n";
    }
    fs::permissions(folder.path() / "b/tool", fs::perms::owner_all);
    const System system{.env = {{"PATH", (folder.path() / "a").string() + "::" + (folder.path() / "b").string()}}};
    EXPECT_EQ(find_program(system, "tool"), folder.path() / "b/tool");
    EXPECT_EQ(find_program(system, "other"), std::nullopt);
}

TEST(FreePort, IsAPort) {
    const auto port = free_loopback_port();
    ASSERT_TRUE(port);
    EXPECT_GT(*port, 0);
}

}  // namespace process_test
}  // namespace velollm::system
