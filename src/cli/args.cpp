#include "cli/args.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>

#include "backend/make_backend.h"
#include "backend/options.h"
#include "base/text.h"
#include "cli/ab_args.h"
#include "cli/compare_args.h"
#include "cli/detect_args.h"
#include "cli/doctor_args.h"
#include "cli/engine_args.h"
#include "cli/optimize_args.h"
#include "cli/predict_args.h"
#include "cli/recommend_args.h"
#include "cli/selftest_args.h"
#include "cli/settings.h"
#include "cli/share.h"
#include "cli/version.h"

namespace velollm::cli {
namespace {

constexpr int kUsageExit = 2;

/// The command line as it is being read, with the places its values go to.
struct Parser {
    CLI::App app{"Measures how fast language models run on this machine.", "velollm"};
    CLI::App* ab = nullptr;
    CLI::App* benchmark = nullptr;
    CLI::App* compare = nullptr;
    CLI::App* detect = nullptr;
    CLI::App* doctor = nullptr;
    CLI::App* optimize = nullptr;
    CLI::App* predict = nullptr;
    CLI::App* recommend = nullptr;
    CLI::App* selftest = nullptr;
    AbArgs ab_args;
    AbWords ab_words;
    BenchmarkArgs benchmark_args;
    CompareArgs compare_args;
    CompareWords compare_words;
    DetectArgs detect_args;
    DoctorArgs doctor_args;
    OptimizeArgs optimize_args;
    PredictArgs predict_args;
    RecommendArgs recommend_args;
    SelfTestArgs selftest_args;
    std::string config_file;
    std::string ollama_url;
    double timeout_seconds = 300.0;
    double quiet_seconds = 3.0;
    std::string until;
    std::string depth;
    bool version = false;
};

/// The validator without its own text in the help, where the option's text says what is allowed.
CLI::Validator silent(CLI::Validator validator) {
    return validator.description("");
}

void add_output(CLI::App& command, Parser& parser, OutputArgs& out, const std::vector<std::string>& formats) {
    command.add_option("-o,--output", out.output, "Write the result file, in one step; - is standard output")
        ->type_name("FILE")
        ->group("Output");
    std::string names;
    for (const std::string& format : formats) names += (names.empty() ? "" : ", ") + format;
    if (!formats.empty())
        command.add_option("--format", out.format, "What to print: " + names)
            ->check(silent(CLI::IsMember(formats)))
            ->type_name("NAME")
            ->group("Output");
    command.add_flag("-q,--quiet", out.quiet, "Print the results only")->group("Output");
    command.add_flag("-v,--verbose", out.verbose, "Print every metric and note")->group("Output");
    command.add_flag("--no-color", out.no_color, "No colour (also: NO_COLOR=1)")->group("Output");
    command.add_flag("--ascii", out.ascii, "No emoji and box characters")->group("Output");
    command.add_option("--config", parser.config_file, "Take options from a JSON file")
        ->type_name("FILE")
        ->group("Output");
}

void add_target(CLI::App& command, Parser& parser) {
    TargetSpec& target = parser.benchmark_args.target;
    const char* group = "Target";
    command
        .add_option("-m,--model", target.model,
                    "A server's model name; embedded, llamacpp: a GGUF file, or a name in the local Ollama store.\n"
                    "Default llama3.2:3b; embedded: SmolLM2-135M-Instruct")
        ->type_name("NAME")
        ->group(group);
    command
        .add_option("-b,--backend", target.backend,
                    "ollama (default), llamacpp (a running llama-server; with -m FILE: starts it),\n"
                    "openai (any server with /v1; needs --url), embedded;\n"
                    "several, as embedded,ollama,llamacpp, are measured in turn")
        ->type_name("NAME[,NAME]")
        ->group(group);
    command.add_option("--url", target.url, "Server address; default $OLLAMA_HOST or http://localhost:11434")
        ->type_name("URL")
        ->group(group);
    command
        .add_option("--api-key-env", target.api_key_env,
                    "openai: name of the environment variable with the key; default OPENAI_API_KEY")
        ->type_name("NAME")
        ->group(group);
    command
        .add_option("--tokenizer", target.tokenizer,
                    "openai: GGUF file, or name in the local Ollama store, to count tokens with\n"
                    "where the server doesn't")
        ->type_name("MODEL")
        ->group(group);
    command.add_option("--llama-server", target.llama_server, "llamacpp: the program to start; else it is looked for")
        ->type_name("FILE")
        ->group(group);
    command.add_option("--ollama-url", parser.ollama_url, "The same, for Ollama")->type_name("URL")->group(group);
    command
        .add_option("--endpoint", target.endpoint,
                    "Ollama: generate (default) or chat; llamacpp: completion (default) or chat;\n"
                    "openai: chat (default) or completions")
        ->check(silent(CLI::IsMember({"generate", "chat", "completion", "completions"})))
        ->type_name("NAME")
        ->group(group);
    command.add_flag("--raw", target.raw, "Send the bare prompt, without the model's chat template")->group(group);
    command
        .add_option("--timeout", parser.timeout_seconds, "Give a request up after so long without a token; default 300")
        ->check(silent(CLI::Range(0.1, 86400.0)))
        ->type_name("SECONDS")
        ->group(group);
}

void add_method(CLI::App& command, Parser& parser) {
    BenchmarkArgs& args = parser.benchmark_args;
    const char* group = "Method";
    command
        .add_option("--until", parser.until,
                    "Repeat until the interval of the median decode speed is within +- so much of it,\n"
                    "10 to 30 times, e.g. 2%")
        ->type_name("PERCENT")
        ->group(group);
    command.add_flag("--quick", args.quick, "One short benchmark, 3 requests: a first look, no verdict")->group(group);
    command
        .add_option("--warmup", args.protocol.warm_up, "Exactly so many warm-up requests; default: until they agree")
        ->check(silent(CLI::Range(0, 1000)))
        ->type_name("N")
        ->group(group);
    command
        .add_option("--quiet-check", parser.quiet_seconds,
                    "Watch the idle machine for so long before measuring; default 3, 0 for not")
        ->check(silent(CLI::Range(0.0, 3600.0)))
        ->type_name("SECONDS")
        ->group(group);
    command.add_flag("--force", args.force, "Print the numbers of an invalid run too")->group(group);
}

void add_benchmark(Parser& parser) {
    CLI::App& command = *(parser.benchmark = parser.app.add_subcommand("benchmark", "Measure the speed of a model"));
    BenchmarkArgs& args = parser.benchmark_args;
    command.footer("Example: velollm benchmark -m llama3.1:8b -o results.json");
    const char* group = "Workload";
    command
        .add_option("--suite", args.suite, "standard (default), or a JSON file of benchmarks; - reads standard input")
        ->type_name("NAME|FILE")
        ->group(group);
    command.add_option("--prompt", args.prompt, "One benchmark of your own")->type_name("TEXT")->group(group);
    command.add_option("--name", args.name, "Its name; default custom")->type_name("NAME")->group(group);
    command.add_option("--max-tokens", args.max_tokens, "Tokens to generate; default 50 for --prompt")
        ->check(silent(CLI::Range(1, 1'000'000)))
        ->type_name("N")
        ->group(group);
    command.add_option("--iterations,--runs", args.iterations, "Requests of each benchmark; default 3 for --prompt")
        ->check(silent(CLI::Range(1, 100'000)))
        ->type_name("N")
        ->group(group);
    command
        .add_option("--depth", parser.depth,
                    "Each benchmark with so many tokens of other text in front of its prompt, e.g. 0,1024,4096")
        ->type_name("N[,N]")
        ->group(group);
    add_method(command, parser);
    add_target(command, parser);
    add_engine(command, args.target, args.reload);
    command.add_option("--seed", args.target.seed, "Sent with every request; default 42")->type_name("N")->group(group);
    add_output(command, parser, args.out, {"text", "json", "csv", "md"});
}

void build(Parser& parser) {
    CLI::App& app = parser.app;
    // A later value wins: the settings file goes in front of what the user typed.
    app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    app.get_formatter()->label("SUBCOMMAND", "COMMAND");
    app.get_formatter()->label("Subcommands", "Commands");
    app.set_help_flag("-h,--help", "Show this help");
    app.add_flag("--version", parser.version, "Show the version, compiler and engine");
    parser.ab = add_ab(app, parser.ab_args, parser.ab_words);
    add_output(*parser.ab, parser, parser.ab_args.out, {"text", "json", "md"});
    add_benchmark(parser);
    parser.compare = add_compare(app, parser.compare_args, parser.compare_words);
    add_output(*parser.compare, parser, parser.compare_args.out, {"text", "json", "csv", "md"});
    parser.detect = add_detect(app, parser.detect_args);
    add_output(*parser.detect, parser, parser.detect_args.out, {"text", "json"});
    parser.doctor = add_doctor(app, parser.doctor_args);
    add_output(*parser.doctor, parser, parser.doctor_args.out, {"text", "json"});
    parser.optimize = add_optimize(app, parser.optimize_args);
    add_output(*parser.optimize, parser, parser.optimize_args.out, {});
    parser.predict = add_predict(app, parser.predict_args);
    add_output(*parser.predict, parser, parser.predict_args.out, {"text", "json"});
    parser.recommend = add_recommend(app, parser.recommend_args);
    add_output(*parser.recommend, parser, parser.recommend_args.out, {"text", "json"});
    parser.selftest = add_selftest(app, parser.selftest_args);
    add_output(*parser.selftest, parser, parser.selftest_args.out, {"text", "json"});
    app.footer(
        "'velollm COMMAND --help' shows the options of a command.\n"
        "Start with: velollm benchmark -b embedded");
}

Printed usage_error(const Error& error) {
    return {fmt::format("Error: {}\n  {}\n", error.message, error.hint), true, kUsageExit};
}

/// "0,1024,4096": ascending or not, each once.
Result<std::vector<std::int64_t>> read_depths(const std::string& text) {
    constexpr std::int64_t kMost = 10'000'000;
    std::vector<std::int64_t> depths;
    for (const std::string_view word : base::split(text, ',')) {
        const auto depth = base::parse_int(base::trim(word));
        if (!depth || *depth < 0 || *depth > kMost || std::find(depths.begin(), depths.end(), *depth) != depths.end())
            return Error{ErrorCode::kUsage, fmt::format("--depth {} is no list of depths", text),
                         "Write tokens, each depth once: --depth 0,1024,4096"};
        depths.push_back(*depth);
    }
    return depths;
}

Result<void> endpoint_fits(const TargetSpec& target) {
    if (!target.tokenizer.empty() && target.backend != "openai")
        return Error{ErrorCode::kUsage, "--tokenizer goes with -b openai: other engines count their tokens",
                     "Leave it out."};
    const std::string& name = target.endpoint;
    if (target.raw && (name == "chat" || (name.empty() && target.backend == "openai")))
        return Error{ErrorCode::kUsage, "--raw needs an endpoint that takes a bare prompt",
                     "Leave --endpoint chat out; with -b openai add  --endpoint completions"};
    if (name.empty()) return {};
    if (target.backend == "embedded")
        return Error{ErrorCode::kUsage, "-b embedded has no server and no --endpoint", "Leave it out."};
    const std::string other = target.backend == "openai"     ? "completions"
                              : target.backend == "llamacpp" ? "completion"
                                                             : "generate";
    if (name == "chat" || name == other) return {};
    return Error{ErrorCode::kUsage, fmt::format("-b {} has no endpoint {}", target.backend, name),
                 fmt::format("It has {} and chat.", other)};
}

Result<void> take_method(Parser& parser) {
    BenchmarkArgs& args = parser.benchmark_args;
    if (!parser.until.empty()) {
        const auto until = read_share("--until", parser.until);
        if (!until) return until.error();
        if (args.iterations || args.quick)
            return Error{ErrorCode::kUsage, "--until decides itself how often to repeat",
                         "Leave --runs, --iterations and --quick out."};
        args.protocol.until = *until;
    }
    const Ns quiet = std::chrono::duration_cast<Ns>(std::chrono::duration<double>(parser.quiet_seconds));
    args.protocol.quiet_check = args.quick ? Ns{0} : quiet;
    if (args.quick && !args.protocol.warm_up) args.protocol.warm_up = 2;
    args.protocol.cache_check = !args.quick;
    return {};
}

/// Checks the names of -b, and sorts out what several of them can't have.
Result<void> take_backends(Parser& parser) {
    BenchmarkArgs& args = parser.benchmark_args;
    const std::vector<std::string> known = backend::backend_names();
    std::vector<std::string> names;
    for (const std::string_view word : base::split(args.target.backend, ',')) {
        const std::string name(base::trim(word));
        if (std::find(known.begin(), known.end(), name) == known.end())
            return Error{ErrorCode::kUsage, fmt::format("Unknown backend: {}", name),
                         "Known are ollama, llamacpp, openai and embedded. See: velollm benchmark --help"};
        if (std::find(names.begin(), names.end(), name) != names.end())
            return Error{ErrorCode::kUsage, fmt::format("-b names {} twice", name), "Once is enough."};
        names.push_back(name);
    }
    args.target.backend = names.front();
    if (names.size() == 1) return {};
    if (args.protocol.until || !args.target.endpoint.empty())
        return Error{ErrorCode::kUsage, "--until and --endpoint are for one backend",
                     "With several, --runs says how many rounds."};
    // Each engine has its own idea of the chat template; only bare words give all of them the same tokens.
    args.target.raw = true;
    args.backends = std::move(names);
    args.ollama_url = parser.ollama_url;
    return {};
}

Arguments finish(Parser& parser) {
    if (parser.ab->parsed()) {
        const auto read = finish_ab(parser.ab_words, parser.ab_args);
        return read ? Arguments(parser.ab_args) : usage_error(read.error());
    }
    if (parser.compare->parsed()) {
        const auto read = finish_compare(parser.compare_words, parser.compare_args);
        return read ? Arguments(parser.compare_args) : usage_error(read.error());
    }
    if (parser.detect->parsed()) return parser.detect_args;
    if (parser.doctor->parsed()) return parser.doctor_args;
    if (parser.optimize->parsed()) return parser.optimize_args;
    if (parser.predict->parsed()) return parser.predict_args;
    if (parser.recommend->parsed()) return parser.recommend_args;
    if (parser.selftest->parsed()) return parser.selftest_args;
    BenchmarkArgs& args = parser.benchmark_args;
    if (const auto method = take_method(parser); !method) return usage_error(method.error());
    if (!parser.depth.empty()) {
        auto depths = read_depths(parser.depth);
        if (!depths) return usage_error(depths.error());
        args.depths = std::move(*depths);
    }
    if (const auto named = take_backends(parser); !named) return usage_error(named.error());
    if (!parser.ollama_url.empty() && args.backends.empty()) {
        if (args.target.backend != "ollama")
            return usage_error(
                {ErrorCode::kUsage, "--ollama-url goes with -b ollama", "For other servers take --url."});
        args.target.url = parser.ollama_url;
    }
    args.target.own_server = backend::takes_own_ollama(args.target);
    const auto given = [&](const char* option) { return parser.benchmark->count(option) > 0; };
    if (given("--prompt") && args.prompt.empty())
        return usage_error({ErrorCode::kUsage, "--prompt is empty", "Write what to ask the model."});
    if (given("--name") && !given("--prompt"))
        return usage_error({ErrorCode::kUsage, "--name goes with --prompt", "A suite names its benchmarks itself."});
    if (!args.prompt.empty() && !args.suite.empty())
        return usage_error({ErrorCode::kUsage, "--prompt and --suite exclude one another", "Leave one of them out."});
    if (args.backends.empty() && args.target.backend == "embedded" && !args.target.url.empty())
        return usage_error(
            {ErrorCode::kUsage, "-b embedded runs in this process and has no --url", "Leave --url out."});
    if (args.backends.empty()) {
        if (const auto fits = endpoint_fits(args.target); !fits) return usage_error(fits.error());
    }
    args.target.timeout = std::chrono::duration_cast<Ns>(std::chrono::duration<double>(parser.timeout_seconds));
    return args;
}

}  // namespace

Arguments parse_arguments(std::vector<std::string> arguments, const system::System& system) {
    Parser parser;
    build(parser);
    try {
        if (const auto added = add_settings(arguments, parser.app, system); !added) return usage_error(added.error());
        std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
        parser.app.parse(arguments);
    } catch (const CLI::CallForHelp&) {
        for (const CLI::App* command : parser.app.get_subcommands({}))
            if (command->parsed()) return Printed{command->help(parser.app.get_name()), false, 0};
        return Printed{parser.app.help(), false, 0};
    } catch (const CLI::ParseError& error) {
        std::string words = "velollm";
        for (const CLI::App* command : parser.app.get_subcommands({}))
            if (command->parsed()) words += " " + command->get_name();
        return usage_error({ErrorCode::kUsage, error.what(), fmt::format("See: {} --help", words)});
    }
    if (parser.version) return Printed{version_text(), false, 0};
    if (parser.app.get_subcommands().empty()) return Printed{parser.app.help(), false, 0};
    return finish(parser);
}

}  // namespace velollm::cli
