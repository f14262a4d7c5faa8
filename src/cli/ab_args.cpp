#include "cli/ab_args.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>

#include "base/text.h"
#include "cli/share.h"
#include "metrics/table.h"

namespace velollm::cli {
namespace {

void add_sides(CLI::App& command, AbArgs& args) {
    const char* group = "Sides";
    command
        .add_option("--a", args.a,
                    "A setting of A, once for each: num_thread=4, num_ctx=, num_batch=, num_gpu=, flash_attn=,\n"
                    "kv_type=, model=, backend=, url=, endpoint=, draft=, speculation=, draft_tokens=;\n"
                    "NAME=VALUE: environment of a server that is started; --flag=VALUE: of a llama-server that is\n"
                    "started. None: as it is")
        ->type_name("KEY=VALUE")
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->allow_extra_args(false)
        ->group(group);
    command.add_option("--b", args.b, "The same of B")
        ->type_name("KEY=VALUE")
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->allow_extra_args(false)
        ->group(group);
    command.add_flag("--null", args.null_test, "A against A: any difference found would be a false alarm")
        ->group(group);
    command
        .add_option("-m,--model", args.target.model,
                    "Of both; a server's model name, a GGUF file, or a name in the local Ollama store")
        ->type_name("NAME")
        ->group(group);
    command.add_option("-b,--backend", args.target.backend, "Of both: ollama (default), llamacpp, openai, embedded")
        ->type_name("NAME")
        ->group(group);
    command.add_option("--url,--ollama-url", args.target.url, "Address of a server that runs")
        ->type_name("URL")
        ->group(group);
}

void add_method(CLI::App& command, AbArgs& args, AbWords& words) {
    const char* group = "Method";
    const CLI::Validator count = CLI::Range(std::size_t{1}, std::size_t{1000}).description("");
    command.add_option("--metric", args.plan.metric, "The measure that decides; default decode_tps")
        ->type_name("KEY")
        ->group(group);
    command.add_option("--delta", words.delta, "What counts as a difference; default 2%")
        ->type_name("PERCENT")
        ->group(group);
    CLI::Option* pairs = command.add_option("--pairs", args.plan.most_pairs, "At most so many pairs; default 30")
                             ->check(count)
                             ->type_name("N")
                             ->group(group);
    command.add_option("--budget", words.budget, "Stop after so long, e.g. 5m")->type_name("TIME")->group(group);
    command.add_flag("--watch", args.plan.watch, "Look after every pair, and go on until Ctrl-C or a verdict")
        ->excludes(pairs)
        ->group(group);
    command
        .add_option("--requests", args.plan.requests,
                    "Requests of each half of a pair; default 1, and behind a load what a pilot says")
        ->check(count)
        ->type_name("N")
        ->group(group);
    command.add_option("--prompt", args.config.prompt, "What is asked")->type_name("TEXT")->group(group);
    command.add_option("--depth", args.config.context_depth, "Tokens of other text in front of it; default 0")
        ->check(CLI::Range(std::int64_t{0}, std::int64_t{10'000'000}).description(""))
        ->type_name("N")
        ->group(group);
    // A single token has no speed of decoding.
    command.add_option("--max-tokens", args.config.max_tokens, "Tokens to generate; default 64")
        ->check(CLI::Range(2, 1'000'000).description(""))
        ->type_name("N")
        ->group(group);
    command.add_option("--warmup", args.warm_up, "Requests behind each load that don't count; default 2")
        ->check(CLI::Range(0, 1000).description(""))
        ->type_name("N")
        ->group(group);
    command.add_option("--quiet-check", words.quiet_seconds, "Watch the idle machine for so long before; default 3")
        ->check(CLI::Range(0.0, 3600.0).description(""))
        ->type_name("SECONDS")
        ->group(group);
    command.add_option("--timeout", words.timeout_seconds, "Give a request up after so long without a token")
        ->check(CLI::Range(0.1, 86400.0).description(""))
        ->type_name("SECONDS")
        ->group(group);
    command.add_option("--seed", args.seed, "Of the order in the pairs; default: drawn, and told")
        ->type_name("N")
        ->group(group);
}

/// The words in order; an error where one setting has two values.
Result<std::vector<std::string>> settings_of(const std::string& option, std::vector<std::string> words) {
    std::sort(words.begin(), words.end());
    for (std::size_t i = 1; i < words.size(); ++i) {
        const std::string name = words[i].substr(0, words[i].find('='));
        if (name == words[i - 1].substr(0, words[i - 1].find('=')))
            return Error{ErrorCode::kUsage, fmt::format("{} has {} twice", option, base::one_line(name, 60)),
                         "Leave one of them out."};
    }
    return words;
}

Result<void> check_sides(const AbArgs& args) {
    if (args.null_test && !args.b.empty())
        return Error{ErrorCode::kUsage, "--null measures A against A", "Leave --b out."};
    if (!args.null_test && args.a.empty() && args.b.empty())
        return Error{ErrorCode::kUsage, "Nothing says what A and B differ by",
                     "velollm ab --a num_thread=4 --b num_thread=2, or --null for A against A"};
    const auto a = settings_of("--a", args.a);
    if (!a) return a.error();
    const auto b = settings_of("--b", args.b);
    if (!b) return b.error();
    if (!args.null_test && *a == *b)
        return Error{ErrorCode::kUsage, "A and B are the same", "Take --null for A against A, without --b."};
    return {};
}

}  // namespace

Result<Ns> read_time(const std::string& option, const std::string& text) {
    const std::string_view word = base::trim(text);
    const std::size_t digits = std::min(word.find_first_not_of("0123456789."), word.size());
    const auto number = base::parse_double(word.substr(0, digits));
    const std::string unit(base::trim(word.substr(digits)));
    const double factor = unit.empty() || unit == "s" ? 1.0 : unit == "m" ? 60.0 : unit == "h" ? 3600.0 : 0.0;
    constexpr double kMost = 1e7;
    if (number && *number > 0.0 && factor > 0.0 && *number * factor <= kMost)
        return std::chrono::duration_cast<Ns>(std::chrono::duration<double>(*number * factor));
    return Error{ErrorCode::kUsage, fmt::format("{} {} is no time", option, base::one_line(text, 40)),
                 fmt::format("Write it as {} 90s, 5m or 1h", option)};
}

CLI::App* add_ab(CLI::App& app, AbArgs& args, AbWords& words) {
    CLI::App& command = *app.add_subcommand("ab", "Measure two settings in pairs, and say whether they differ");
    command.footer(
        "Example: velollm ab -m llama3.2:3b --a num_thread=4 --b num_thread=2\n"
        "Exit code: 0 B is the same or better, 10 slower, 11 cannot tell");
    add_sides(command, args);
    add_method(command, args, words);
    command.add_flag("--json", args.json, "Print JSON also on a terminal")->group("Output");
    return &command;
}

Result<void> finish_ab(const AbWords& words, AbArgs& args) {
    if (const auto sides = check_sides(args); !sides) return sides;
    const auto table = metrics::metric_table();
    if (std::none_of(table.begin(), table.end(), [&](const auto& row) { return row.key == args.plan.metric; }))
        return Error{ErrorCode::kUsage, fmt::format("Unknown metric: {}", base::one_line(args.plan.metric, 60)),
                     "docs/metrics.md lists them: decode_tps, ttft_ms, prefill_tps, e2e_ms, ..."};
    if (!words.delta.empty()) {
        const auto delta = read_share("--delta", words.delta);
        if (!delta) return delta.error();
        args.plan.limits.delta = *delta;
    }
    if (!words.budget.empty()) {
        const auto budget = read_time("--budget", words.budget);
        if (!budget) return budget.error();
        args.plan.budget = *budget;
    }
    if (args.config.prompt.empty())
        return Error{ErrorCode::kUsage, "--prompt is empty", "Write what to ask the model."};
    args.quiet_check = std::chrono::duration_cast<Ns>(std::chrono::duration<double>(words.quiet_seconds));
    args.target.timeout = std::chrono::duration_cast<Ns>(std::chrono::duration<double>(words.timeout_seconds));
    return {};
}

}  // namespace velollm::cli
