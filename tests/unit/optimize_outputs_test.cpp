#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "optimize/outputs.h"
#include "optimize/quote.h"
#include "support/facts.h"
#include "system/process.h"

namespace velollm::optimize {
namespace {

namespace fs = std::filesystem;

/// What nobody should be able to break out with.
const std::vector<std::string>& hostile_values() {
    static const std::vector<std::string> values = {
        "4096",
        "two words",
        "it's",
        "say \"no\"",
        "a\nexport EVIL=1",
        "x; touch EVIL; #",
        "$(touch EVIL)",
        "`touch EVIL`",
        "$HOME ${HOME} $$",
        "back\\slash\\",
        "\\'; touch EVIL; '",
        "%h %% %n",
        "*?[a]{b,c}~",
        "tab\tend",
        "é → 日本 \U0001F680",
        "\u2018; touch EVIL; \u2019",
        "next\u0085line \u2028 para",
        "]]>&lt;--",
        "#comment",
        "!history!!",
        "- yaml: [1, {2}]",
        " lead and trail ",
    };
    return values;
}

Plan hostile_plan(const std::string& value) {
    Plan plan;
    plan.engine = "ollama";
    plan.version = "0.32.15";
    plan.model = "evil'model\n$(touch EVIL) \u2028volumes: [] \u0085";
    plan.unit = "a b\nc.service";
    plan.id = "0123456789ab";
    Finding finding;
    finding.rule = "R1";
    finding.title = "a title\ntouch EVIL \u2028touch EVIL";
    finding.changes = {{"llm_library", "", value, "environment", "OLLAMA_LLM_LIBRARY"}};
    plan.findings = {finding};
    return plan;
}

class OptimizeOutputs : public testing::Test {
protected:
    void SetUp() override {
        folder_ = fs::path(testing::TempDir()) / ("velollm-outputs-" + std::to_string(system_.env.size()) +
                                                  testing::UnitTest::GetInstance()->current_test_info()->name());
        fs::create_directories(folder_);
        fs::remove("EVIL");  // of an earlier, failed run
    }
    void TearDown() override { fs::remove_all(folder_); }

    /// What a program of this machine writes; its folder is the test's.
    std::string run(const std::string& program, std::vector<std::string> words) {
        const auto path = system::find_program(system_, program);
        EXPECT_TRUE(path) << program << " is missing: see CHECK_PACKAGES in scripts/lib.sh";
        if (!path) return "";
        words.insert(words.begin(), path->string());
        auto process = system::Process::start({.words = std::move(words), .env = system_.env}, system_);
        EXPECT_TRUE(process);
        system::SteadyClock clock;
        const auto end = process->wait(clock.now() + std::chrono::seconds(30));
        EXPECT_TRUE(end && end->exit_code == 0) << program << ": " << process->output(4096);
        return process->output(65536);
    }
    fs::path write(const std::string& name, const std::string& text) {
        EXPECT_TRUE(system::write_file_atomic(folder_ / name, text));
        return folder_ / name;
    }
    std::string rendered(const Plan& plan, Format format) {
        const auto text = render(plan, format);
        EXPECT_TRUE(text) << text.error().message;
        return text ? *text : "";
    }
    bool evil() { return fs::exists("EVIL") || fs::exists(folder_ / "EVIL"); }

    system::System system_ = system::this_system();
    fs::path folder_;
};

TEST_F(OptimizeOutputs, ShellsReadEachValueAsItIs) {
    int number = 0;
    for (const std::string& value : hostile_values()) {
        const fs::path file = write(std::to_string(number++) + ".sh", rendered(hostile_plan(value), Format::kEnv));
        for (const char* shell : {"sh", "dash", "bash", "zsh"}) {
            const std::string script = ". " + file.string() + " && cd " + folder_.string() +
                                       " && printf '%s|%s' \"$OLLAMA_LLM_LIBRARY\" \"${EVIL:-}\"";
            EXPECT_EQ(run(shell, {"-c", script}), value + "|") << shell;
        }
        EXPECT_FALSE(evil()) << value;
    }
}

TEST_F(OptimizeOutputs, FishReadsEachValueAsItIs) {
    int number = 0;
    for (const std::string& value : hostile_values()) {
        const fs::path file = write(std::to_string(number++) + ".fish", rendered(hostile_plan(value), Format::kFish));
        EXPECT_EQ(run("fish", {"--no-config", "-c",
                               "source " + file.string() + "; printf '%s|%s' $OLLAMA_LLM_LIBRARY \"$EVIL\""}),
                  value + "|");
        EXPECT_FALSE(evil()) << value;
    }
}

TEST_F(OptimizeOutputs, LaunchdCommandsReachLaunchctlAsTheyAre) {
    for (const std::string& value : hostile_values()) {
        const fs::path file = write("l.sh", rendered(hostile_plan(value), Format::kLaunchd));
        const std::string script = "launchctl() { printf '%s|' \"$@\"; }; . " + file.string();
        EXPECT_EQ(run("bash", {"-c", script}), "setenv|OLLAMA_LLM_LIBRARY|" + value + "|");
        EXPECT_FALSE(evil()) << value;
    }
}

TEST_F(OptimizeOutputs, ComposeFragmentsAreReadAsTheyAre) {
    int number = 0;
    std::string script =
        "import yaml,sys\nout=[]\nfor f in sys.argv[1:]:\n"
        "  d=yaml.safe_load(open(f,encoding='utf-8'))\n"
        "  assert list(d)==['services'] and list(d['services'])==['ollama'], d\n"
        "  e=d['services']['ollama']['environment']\n  assert list(e)==['OLLAMA_LLM_LIBRARY'], e\n"
        "  out.append(e['OLLAMA_LLM_LIBRARY'].replace('$$','$'))\n"
        "sys.stdout.buffer.write('\\0'.join(out).encode())\n";
    std::vector<std::string> words = {"-c", script};
    std::string wanted;
    for (const std::string& value : hostile_values()) {
        words.push_back(
            write(std::to_string(number++) + ".yaml", rendered(hostile_plan(value), Format::kDocker)).string());
        wanted += (wanted.empty() ? std::string() : std::string(1, '\0')) + value;
    }
    EXPECT_EQ(run("python3", words), wanted);
}

/// systemd's quoting: C escapes inside of double quotes, %% for %.
std::string read_systemd(std::string_view line) {
    std::string out;
    for (std::size_t i = 0; i < line.size(); ++i) {
        if (line[i] == '%' && i + 1 < line.size() && line[i + 1] == '%') {
            out += '%';
            ++i;
        } else if (line[i] == '\\' && i + 1 < line.size() && line[i + 1] == 'x') {
            out += static_cast<char>(std::stoi(std::string(line.substr(i + 2, 2)), nullptr, 16));
            i += 3;
        } else if (line[i] == '\\') {
            out += line[++i];
        } else {
            EXPECT_NE(line[i], '"');
            out += line[i];
        }
    }
    return out;
}

TEST_F(OptimizeOutputs, SystemdDropInsHoldEachValueInOneLine) {
    for (const std::string& value : hostile_values()) {
        const std::string text = rendered(hostile_plan(value), Format::kSystemd);
        std::vector<std::string> lines;
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t end = text.find('\n', at);
            if (text[at] != '#') lines.push_back(text.substr(at, end - at));
            at = end + 1;
        }
        ASSERT_EQ(lines.size(), 2U) << text;
        EXPECT_EQ(lines[0], "[Service]");
        const std::string start = "Environment=\"OLLAMA_LLM_LIBRARY=";
        ASSERT_TRUE(lines[1].starts_with(start));
        EXPECT_EQ(read_systemd(std::string_view(lines[1]).substr(start.size(), lines[1].size() - start.size() - 1)),
                  value);
    }
}

TEST_F(OptimizeOutputs, SystemdItselfTakesTheLines) {
    std::string unit = "[Service]\nExecStart=/bin/true\n";
    for (const std::string& value : hostile_values()) {
        const std::string text = rendered(hostile_plan(value), Format::kSystemd);
        unit += text.substr(text.find("[Service]\n") + 10);
    }
    const fs::path file = write("velollm-test.service", unit);
    EXPECT_EQ(
        run("systemd-analyze", {"verify", "--man=no", "--generators=no", file.string()}).find("velollm-test.service:"),
        std::string::npos);
}

/// PowerShell's rule for verbatim strings: a quote is doubled, and there is nothing else.
TEST_F(OptimizeOutputs, PowershellDoublesEveryKindOfSingleQuote) {
    for (const std::string& value : hostile_values()) {
        const std::string word = powershell_word(value);
        ASSERT_TRUE(word.starts_with("'") && word.ends_with("'"));
        std::string out;
        for (std::size_t i = 1; i + 1 < word.size();) {
            std::size_t length = 0;
            if (word[i] == '\'') length = 1;
            for (const char* quote : {"\u2018", "\u2019", "\u201A", "\u201B"})
                if (word.compare(i, 3, quote) == 0) length = 3;
            if (length > 0) {
                ASSERT_EQ(word.substr(i, length), word.substr(i + length, length)) << value;
                out += word.substr(i, length);
                i += 2 * length;
            } else {
                out += word[i++];
            }
        }
        EXPECT_EQ(out, value);
    }
    EXPECT_EQ(rendered(hostile_plan("it's"), Format::kPowershell)
                  .substr(rendered(hostile_plan("it's"), Format::kPowershell).rfind('[')),
              "[Environment]::SetEnvironmentVariable('OLLAMA_LLM_LIBRARY', 'it''s', 'User')\n");
}

TEST_F(OptimizeOutputs, EnvironmentFilesOfLlamaServer) {
    Plan plan = hostile_plan("q8_0");
    plan.engine = "llama-server";
    plan.version = "0.5.0";
    plan.findings[0].changes = {{"threads", "", "1", "flag", "--threads"},
                                {"kv_type_k", "", "a\"b\nc", "flag", "--cache-type-k"}};
    const std::string text = rendered(plan, Format::kLlamaServer);
    EXPECT_NE(text.find("#   llama-server --threads 1\n"), std::string::npos) << text;
    EXPECT_NE(text.find("\nLLAMA_ARG_THREADS=\"1\"\n"), std::string::npos);
    EXPECT_NE(text.find("\nLLAMA_ARG_CACHE_TYPE_K=\"a\\\"b\nc\"\n"),
              std::string::npos);  // quoted, as systemd.exec has it
    EXPECT_NE(text.find("\n# threads = 1\n"), std::string::npos);
}

TEST_F(OptimizeOutputs, JsonHoldsEverything) {
    for (const std::string& value : hostile_values()) {
        const auto plan = nlohmann::json::parse(plan_json(hostile_plan(value), 2, "", nullptr));
        EXPECT_EQ(plan["findings"][0]["changes"][0]["new"], value);
        Plan sent = hostile_plan(value);
        sent.findings[0].changes.push_back({"num_batch", "", "512", "request", "num_batch"});
        EXPECT_EQ(nlohmann::json::parse(rendered(sent, Format::kRequest))["options"]["num_batch"], 512);
        EXPECT_FALSE(render(hostile_plan(value), Format::kRequest));  // a variable is no request's
    }
}

TEST_F(OptimizeOutputs, AModelfileIsANewTagAndNothingElse) {
    Facts facts = good_facts("llama3.2:3b");
    facts.profile = Profile::kAgent;
    const std::string text = rendered(make_plan(facts), Format::kModelfile);
    EXPECT_NE(text.find("\nFROM llama3.2:3b\n"), std::string::npos) << text;
    EXPECT_NE(text.find("\nPARAMETER num_ctx 17408\n"), std::string::npos);
    EXPECT_NE(text.find("ollama create llama3.2:3b-velo -f Modelfile"), std::string::npos);
    EXPECT_EQ(velo_tag("hf.co:80/a/b"), "hf.co:80/a/b:velo");
    EXPECT_FALSE(render(hostile_plan("1"), Format::kModelfile));
    facts.engine = "llama-server";
    EXPECT_FALSE(render(make_plan(facts), Format::kModelfile));
}

TEST_F(OptimizeOutputs, TheGuidesFileSaysWhatActsWhere) {
    Facts facts = good_facts("llama3.2:3b");
    facts.threads = {.count = 2, .reason = "quota", .limit = "quota", .quota_cpus = 2.0};
    facts.profile = Profile::kAgent;
    facts.observed.server->env = {{"OLLAMA_NUM_THREAD", "8"}};
    const std::string text = rendered(make_plan(facts), Format::kEnv);
    const auto place = [&](const char* part) {
        EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
        return text.find(part);
    };
    const std::size_t own = place("# No Ollama reads the following names. VeloLLM does");
    EXPECT_LT(place("only when 'ollama serve' is started from a shell"), place("export LLAMA_ARG_THREADS='2'\n"));
    EXPECT_LT(place("export LLAMA_ARG_THREADS='2'\n"), own);
    EXPECT_LT(place("export OLLAMA_CONTEXT_LENGTH='17408'\n"), own);
    EXPECT_GT(place("export OLLAMA_NUM_THREAD='2'\n"), own);
    EXPECT_GT(place("export OLLAMA_NUM_CTX='17408'\n"), own);
    EXPECT_EQ(text.find("unset OLLAMA_NUM_THREAD\n"), std::string::npos);  // it is set further down
    EXPECT_EQ(run("sh", {"-c", "set -eu; . " + write("velollm.sh", text).string() + "; echo $OLLAMA_NUM_CTX"}),
              "17408\n");
    EXPECT_EQ(rendered(make_plan(good_facts()), Format::kEnv).find("export"), std::string::npos);
}

TEST_F(OptimizeOutputs, FilesNameTheirForm) {
    EXPECT_EQ(format_of_file("velollm.sh"), Format::kEnv);
    EXPECT_EQ(format_of_file("anything"), Format::kEnv);
    for (const std::string& name : format_names()) {
        const auto format = parse_format(name);
        ASSERT_TRUE(format) << name;
        EXPECT_EQ(format_name(*format), name);
        EXPECT_EQ(format_of_file(usual_file(*format)), *format) << name;
    }
    EXPECT_EQ(format_of_file("compose.yml"), Format::kDocker);
    EXPECT_FALSE(parse_format("toml"));
}

}  // namespace
}  // namespace velollm::optimize
