#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>

#include "optimize/apply.h"
#include "support/temp_folder.h"

namespace velollm::optimize {
namespace {

namespace fs = std::filesystem;

/// A machine of its own: files below a folder, and a server whose models are files there.
class Apply : public testing::Test {
protected:
    void SetUp() override {
        system_.root = folder_.path() / "root";
        system_.env = {{"HOME", (folder_.path() / "home").string()}};
        fs::create_directories(system_.root / "etc/systemd/system");
        fs::create_directories(folder_.path() / "tags");
        plan_.id = "0123456789ab";
        plan_.engine = "ollama";
        plan_.version = "0.32.15";
        plan_.model = "m:1b";
        plan_.findings = {{.rule = "R1", .changes = {{"threads", "", "1", "environment", "LLAMA_ARG_THREADS"}}},
                          {.rule = "R2", .changes = {{"num_ctx", "4096", "8192", "modelfile", "num_ctx"}}}};
        hands_.restart = [this](const Applied& now) { return note("restart " + now.unit); };
        hands_.wait_healthy = [this](const Applied&) { return note("health"); };
        hands_.make_tag = [this](const ApplyPlan& plan) -> Result<std::string> {
            std::ofstream(tag(plan.journal.tag)) << plan.parameters.front().second;
            return std::string("8192");
        };
        hands_.find_tag = [this](const std::string& name) -> Result<std::string> {
            return system::read_file(tag(name)).value_or("");
        };
        hands_.remove_tag = [this](const std::string& name) {
            fs::remove(tag(name));
            return note("remove " + name);
        };
        hands_.proof = [this](const Applied&) { return note("proof"); };
        hands_.compare = [this](const Applied&) { return note("compare"); };
    }

    Result<void> note(const std::string& what) {
        if (what == failing_) return Error{ErrorCode::kFailed, what + " failed", ""};
        done_ += what + ", ";
        return {};
    }

    fs::path tag(const std::string& name) const { return folder_.path() / "tags" / name; }
    fs::path file() const { return drop_in(service_, system_); }

    ApplyPlan prepared() {
        auto wanted = prepare_apply(plan_, service_, "http://127.0.0.1:1", system_);
        EXPECT_TRUE(wanted) << wanted.error().message;
        return *wanted;
    }

    /// Every file and folder but the journal's, with its bytes.
    std::map<std::string, std::string> world() const {
        std::map<std::string, std::string> all;
        for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
            const std::string name = fs::relative(entry.path(), folder_.path()).string();
            if (name.starts_with("home")) continue;
            all[name] = entry.is_directory() ? "folder" : system::read_file(entry.path()).value_or("unreadable");
        }
        return all;
    }

    /// Carries the plan out in a process that is killed at the n-th record. False: it came to its end before.
    bool killed_at(const ApplyPlan& wanted, int n) {
        const pid_t child = ::fork();
        if (child == 0) {
            int seen = 0;
            Hands hands = hands_;
            hands.at = [&](const Applied&) {
                if (++seen == n) ::raise(SIGKILL);
            };
            const auto applied = apply(wanted, hands, system_);
            ::_exit(applied ? 0 : 1);
        }
        int status = 0;
        EXPECT_EQ(::waitpid(child, &status, 0), child);
        return WIFSIGNALED(status);
    }

    test::TempFolder folder_;
    system::System system_;
    Service service_{"ollama.service", false};
    Plan plan_;
    Hands hands_;
    std::string done_;
    std::string failing_;
};

TEST_F(Apply, WritesProvesAndGoesBack) {
    const auto before = world();
    auto applied = apply(prepared(), hands_, system_);
    ASSERT_TRUE(applied) << applied.error().message;
    EXPECT_EQ(done_, "restart ollama.service, health, proof, compare, ");
    const std::string text = system::read_file(file()).value_or("");
    EXPECT_TRUE(is_ours(text)) << text;
    EXPECT_NE(text.find("Environment=\"LLAMA_ARG_THREADS=1\""), std::string::npos) << text;
    EXPECT_EQ(text.find("CONTEXT_LENGTH"), std::string::npos) << "what a model can carry isn't the server's: " << text;
    EXPECT_EQ(system::read_file(tag("m:1b-velo")), "8192");
    const auto journal = read_journal(system_);
    ASSERT_TRUE(journal && *journal);
    EXPECT_TRUE((*journal)->in_force());
    EXPECT_EQ((*journal)->expected.size(), 2U);
    EXPECT_EQ(journal_json(**journal), journal_json(*applied));
    ASSERT_TRUE(roll_back(*applied, hands_, system_));
    EXPECT_EQ(world(), before);
    EXPECT_TRUE((*read_journal(system_))->over());
}

TEST_F(Apply, EveryCrashCanBeRolledBack) {
    // An older file of ours is there, with bytes that are no UTF-8; without one its folder is new.
    for (const bool existed : {false, true}) {
        if (existed) {
            fs::create_directories(file().parent_path());
            std::ofstream(file()) << marked("old", "# \xff\xfe\n[Service]\n");
        }
        const auto before = world();
        int n = 1;
        for (; killed_at(prepared(), n); ++n) {
            auto journal = read_journal(system_);
            ASSERT_TRUE(journal && *journal) << n;
            EXPECT_FALSE((*journal)->over());
            // Going back is killed at each of its own steps too.
            for (int m = 1;; ++m) {
                const pid_t child = ::fork();
                if (child == 0) {
                    int seen = 0;
                    Hands hands = hands_;
                    hands.at = [&](const Applied&) {
                        if (++seen == m) ::raise(SIGKILL);
                    };
                    auto again = read_journal(system_);
                    ::_exit(again && *again && roll_back(**again, hands, system_) ? 0 : 1);
                }
                int status = 0;
                ASSERT_EQ(::waitpid(child, &status, 0), child);
                if (WIFSIGNALED(status)) continue;
                ASSERT_EQ(WEXITSTATUS(status), 0) << n << " " << m;
                break;
            }
            EXPECT_EQ(world(), before) << "killed at record " << n;
        }
        EXPECT_EQ(n, 18) << "two records a step, and one of the end";
        auto journal = read_journal(system_);
        ASSERT_TRUE(roll_back(**journal, hands_, system_));
        EXPECT_EQ(world(), before);
    }
}

TEST_F(Apply, AModelMadeBehindTheLastRecordGoes) {
    const auto before = world();
    const auto make = hands_.make_tag;
    hands_.make_tag = [&](const ApplyPlan& plan) {
        auto made = make(plan);
        ::raise(SIGKILL);
        return made;
    };
    EXPECT_TRUE(killed_at(prepared(), 1000));
    EXPECT_TRUE(fs::exists(tag("m:1b-velo")));
    auto journal = read_journal(system_);
    ASSERT_TRUE(journal && *journal);
    EXPECT_EQ((*journal)->tag_digest, "");
    ASSERT_TRUE(roll_back(**journal, hands_, system_));
    EXPECT_EQ(world(), before);
}

TEST_F(Apply, WhatAWriteLeftHalfWayGoes) {
    auto wanted = prepared();
    wanted.journal.pid = 77;
    hands_.at = [&](const Applied& now) {
        if (now.step == "write") std::ofstream(file().string() + ".77.tmp") << "half";
    };
    auto applied = apply(wanted, hands_, system_);
    ASSERT_TRUE(applied);
    hands_.at = {};
    ASSERT_TRUE(roll_back(*applied, hands_, system_));
    EXPECT_FALSE(fs::exists(file().parent_path()));
}

TEST_F(Apply, GoesBackByItself) {
    const auto before = world();
    for (const char* step : {"proof", "compare"}) {
        failing_ = step;
        const auto applied = apply(prepared(), hands_, system_);
        ASSERT_FALSE(applied);
        EXPECT_EQ(applied.error().message, std::string(step) + " failed");
        EXPECT_NE(applied.error().hint.find("Everything is back as it was"), std::string::npos);
        EXPECT_EQ(world(), before);
        EXPECT_TRUE((*read_journal(system_))->over());
    }
    failing_ = "health";
    const auto applied = apply(prepared(), hands_, system_);
    ASSERT_FALSE(applied);
    EXPECT_NE(applied.error().hint.find("Going back failed too"), std::string::npos) << applied.error().hint;
    failing_ = "";
    auto journal = read_journal(system_);
    ASSERT_TRUE(roll_back(**journal, hands_, system_));
    EXPECT_EQ(world(), before);
}

TEST_F(Apply, WhatOthersWroteIsLeftAlone) {
    fs::create_directories(file().parent_path());
    std::ofstream(file()) << "[Service]\n";
    auto wanted = prepare_apply(plan_, service_, "", system_);
    ASSERT_FALSE(wanted);
    EXPECT_NE(wanted.error().message.find("is in the way"), std::string::npos) << wanted.error().message;
    std::ofstream(file()) << marked("old", "[Service]\n") << "Environment=MINE=1\n";
    EXPECT_FALSE(prepare_apply(plan_, service_, "", system_)) << "ours, and changed since";
    fs::remove(file());
    fs::create_symlink("/dev/null", file());
    EXPECT_FALSE(prepare_apply(plan_, service_, "", system_));
    fs::remove(file());
    std::ofstream(tag("m:1b-velo")) << "theirs";
    const auto before = world();
    EXPECT_FALSE(apply(prepared(), hands_, system_));
    EXPECT_EQ(world(), before);
}

TEST_F(Apply, ChangedSinceIsNotRolledBack) {
    auto applied = apply(prepared(), hands_, system_);
    ASSERT_TRUE(applied);
    const std::string written = system::read_file(file()).value_or("");
    std::ofstream(file(), std::ios::app) << "Environment=MINE=1\n";
    auto before = world();
    auto back = roll_back(*applied, hands_, system_);
    ASSERT_FALSE(back);
    EXPECT_NE(back.error().message.find(file().string()), std::string::npos) << back.error().message;
    EXPECT_EQ(world(), before);
    EXPECT_EQ(changed_since(*applied).size(), 1U);
    std::ofstream(file()) << written;
    std::ofstream(tag("m:1b-velo")) << "made anew";
    before = world();
    back = roll_back(*applied, hands_, system_);
    ASSERT_FALSE(back);
    EXPECT_NE(back.error().message.find("m:1b-velo was made anew"), std::string::npos) << back.error().message;
    EXPECT_EQ(world(), before);
    std::ofstream(tag("m:1b-velo")) << "8192";
    EXPECT_TRUE(roll_back(*applied, hands_, system_));
}

TEST_F(Apply, NothingWithoutAUnit) {
    service_ = {};
    const auto wanted = prepare_apply(plan_, service_, "", system_);
    ASSERT_FALSE(wanted);
    EXPECT_NE(wanted.error().hint.find("velollm optimize --check"), std::string::npos);
    // A model beside the old one takes no restart.
    plan_.findings.erase(plan_.findings.begin());
    EXPECT_TRUE(apply(prepared(), hands_, system_));
    EXPECT_EQ(done_, "health, proof, compare, ");
}

TEST_F(Apply, AJournalThatCannotBeReadIsAnError) {
    fs::create_directories(journal_file(system_).parent_path());
    auto wanted = prepared();
    std::string text = journal_json(wanted.journal);
    EXPECT_TRUE(parse_journal(text));
    std::ofstream(journal_file(system_)) << text.substr(0, text.size() / 2);
    EXPECT_FALSE(read_journal(system_));
}

}  // namespace
}  // namespace velollm::optimize
