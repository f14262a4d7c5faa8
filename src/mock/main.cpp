#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_writer.h"
#include "base/text.h"
#include "mock/server.h"
#include "system/system.h"

namespace {

using velollm::Error;
using velollm::ErrorCode;
using velollm::Result;
using velollm::mock::Server;

constexpr const char* kHelp = R"(velollm-mock pretends to be a language model server that answers as a script says.

Usage: velollm-mock [SCRIPT.json] [OPTIONS]

  --port N          port of 127.0.0.1 to listen on (default: a free one)
  --log FILE        appends a line of JSON for every finished generation: what was asked, what was written when
  --compact         no headers, bodies and single writes in the log and in GET /mock/truth
  --check SCRIPT    says whether a script is right, and ends
  --print-script    prints the script that is used where none is given, and ends
  --help            this text

It prints "listening on http://127.0.0.1:PORT" and runs until SIGINT or SIGTERM.
Scripts, and what GET /mock/truth tells: docs/mock.md
)";

struct Options {
    std::optional<std::string> script;
    std::optional<std::string> log;
    int port = 0;
    bool compact = false;
    bool check = false;
    bool print = false;
    bool help = false;
};

Error usage(std::string what) {
    return {ErrorCode::kUsage, std::move(what), "See: velollm-mock --help"};
}

/// Few options, and none shared with the main program: CLI11 would cost more lines than this.
Result<Options> read_options(const std::vector<std::string>& words) {
    Options options;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string& word = words[i];
        const bool valued = word == "--port" || word == "--log" || word == "--check";
        if (valued && i + 1 == words.size()) return usage(fmt::format("{} needs a value", word));
        if (word == "--port") {
            const auto port = velollm::base::parse_int(words[++i]);
            if (!port || *port < 0 || *port > 65'535) return usage("--port must be a number from 0 to 65535");
            options.port = static_cast<int>(*port);
        } else if (word == "--log") {
            options.log = words[++i];
        } else if (word == "--check") {
            options.script = words[++i];
            options.check = true;
        } else if (word == "--compact") {
            options.compact = true;
        } else if (word == "--print-script") {
            options.print = true;
        } else if (word == "--help" || word == "-h") {
            options.help = true;
        } else if (word.starts_with('-')) {
            return usage(fmt::format("unknown option {}", word));
        } else if (options.script) {
            return usage(fmt::format("one script, not two: {}", word));
        } else {
            options.script = word;
        }
    }
    return options;
}

Result<velollm::mock::Program> read_program(const Options& options) {
    if (!options.script) return velollm::serde::read_mock_script(velollm::serde::default_mock_script(), "default");
    const auto text = velollm::system::read_file(*options.script);
    if (!text) return usage(fmt::format("can't read {}", *options.script));
    return velollm::serde::read_mock_script(*text, *options.script);
}

int fail(const Error& error) {
    fmt::print(stderr, "velollm-mock: {}\n{}\n", error.message, error.hint);
    return error.code == ErrorCode::kUsage ? 2 : 1;
}

// A signal handler has no other way to the server.
Server* running = nullptr;
extern "C" void on_signal(int) {
    running->stop();
}

int serve(const Options& options, velollm::mock::Program program) {
    std::FILE* log = nullptr;
    if (options.log && (log = std::fopen(options.log->c_str(), "a")) == nullptr)
        return fail(usage(fmt::format("can't write {}", *options.log)));
    velollm::mock::ServerOptions wanted{.port = options.port, .compact = options.compact};
    if (log != nullptr)
        wanted.on_finished = [log](const velollm::mock::TruthRequest& request) {
            velollm::base::JsonWriter json;
            write_json(json, request);
            fmt::print(log, "{}\n", json.text());
            std::fflush(log);
        };
    auto server = Server::open(std::move(program), std::move(wanted));
    if (!server) return fail(server.error());
    running = server->get();
    std::signal(SIGINT, on_signal);
    std::signal(SIGTERM, on_signal);
    fmt::print("listening on {}\n", running->url());
    std::fflush(stdout);
    running->run();
    if (log != nullptr) std::fclose(log);
    const velollm::mock::Truth& truth = running->truth();
    fmt::print(stderr, "{} requests, {} writes, own lateness p50 {:.3f} ms, p99 {:.3f} ms, max {:.3f} ms\n",
               truth.total_requests, truth.total_writes, static_cast<double>(truth.late.quantile(0.5)) / 1e6,
               static_cast<double>(truth.late.quantile(0.99)) / 1e6, static_cast<double>(truth.late.max_ns) / 1e6);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const auto options = read_options(std::vector<std::string>(argv + 1, argv + argc));
    if (!options) return fail(options.error());
    if (options->help) {
        fmt::print("{}", kHelp);
        return 0;
    }
    if (options->print) {
        fmt::print("{}", velollm::serde::default_mock_script());
        return 0;
    }
    auto program = read_program(*options);
    if (!program) return fail(program.error());
    if (options->check) {
        fmt::print("{}: {} request{} scripted\n", *options->script, program->requests.size(),
                   program->requests.size() == 1 ? " is" : "s are");
        return 0;
    }
    return serve(*options, std::move(*program));
}
