#include "cli/plan.h"

#include <fmt/core.h>

#include <iostream>
#include <iterator>

#include "base/digest.h"
#include "benchmark/suite.h"
#include "cli/commands.h"
#include "cli/version.h"
#include "serde/files.h"

namespace velollm::cli {
namespace {

constexpr const char* kCustomSuite = "custom";
constexpr std::int64_t kQuickRuns = 3;

Result<std::string> suite_text(const std::string& file) {
    if (file == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
    const auto text = system::read_file(file);
    if (text) return *text;
    return Error{ErrorCode::kUsage, fmt::format("Cannot read the suite {}", file),
                 "Name a JSON file, 'standard', or - for standard input."};
}

}  // namespace

Result<Plan> make_plan(const BenchmarkArgs& args) {
    if (!args.prompt.empty()) {
        return Plan{kCustomSuite,
                    {{.name = args.name,
                      .model = {},
                      .prompt = args.prompt,
                      .max_tokens = args.max_tokens.value_or(50),
                      .iterations = args.iterations.value_or(3)}}};
    }
    Plan plan{benchmark::kStandardSuite, benchmark::standard_suite()};
    if (!args.suite.empty() && args.suite != "standard") {
        const auto text = suite_text(args.suite);
        if (!text) return text.error();
        auto configs = serde::read_suite(*text, args.suite == "-" ? "standard input" : args.suite);
        if (!configs) return configs.error();
        plan = {kCustomSuite, std::move(*configs)};
    }
    if (args.max_tokens || args.iterations || args.quick || args.protocol.until) plan.suite = kCustomSuite;
    if (args.quick) plan.configs.resize(1);
    for (BenchmarkConfig& config : plan.configs) {
        config.max_tokens = args.max_tokens.value_or(config.max_tokens);
        config.iterations = args.iterations.value_or(args.quick ? kQuickRuns : config.iterations);
        if (args.protocol.until) config.iterations = benchmark::kMaxRuns;
        if (!args.target.model.empty()) config.model = args.target.model;
    }
    return plan;
}

report::Context first_context(const BenchmarkArgs& args, const Plan& plan, const Hardware& hardware,
                              const system::System& system) {
    const std::int64_t now_ms = system::unix_now_ms();
    report::Context context;
    context.options = args.target.options;
    context.hardware = hardware;
    context.seed = args.target.seed;
    context.suite = plan.suite;
    context.until = args.protocol.until;
    context.quick = args.quick;
    context.run_id = base::uuid_v7(now_ms, system::random_u64(), system::random_u64());
    context.started_at = system::utc_timestamp(now_ms / 1000);
    context.tool_version = tool_version();
    context.tool_commit = tool_commit();
    context.self_test = last_selftest(system);
    return context;
}

std::string engine_name(const std::string& backend) {
    if (backend == "ollama") return "Ollama";
    if (backend == "openai") return "OpenAI-compatible server";
    return backend == "llamacpp" ? "llama-server" : "llama.cpp";
}

}  // namespace velollm::cli
