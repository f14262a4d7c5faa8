#include "cli/plan.h"

#include <fmt/core.h>

#include <algorithm>
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

Result<Plan> plan_of(const BenchmarkArgs& args) {
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

/// Every benchmark once a depth; at depth 0 it keeps its name.
void add_depths(Plan& plan, const std::vector<std::int64_t>& depths) {
    std::vector<BenchmarkConfig> configs;
    for (const BenchmarkConfig& config : plan.configs) {
        for (const std::int64_t depth : depths) {
            configs.push_back(config);
            configs.back().context_depth = depth;
            if (depth > 0) configs.back().name += fmt::format("@{}", depth);
        }
    }
    plan.configs = std::move(configs);
    plan.suite = kCustomSuite;
}

}  // namespace

Result<Plan> make_plan(const BenchmarkArgs& args) {
    auto plan = plan_of(args);
    if (plan && !args.depths.empty()) add_depths(*plan, args.depths);
    return plan;
}

void make_room(TargetSpec& target, const Plan& plan) {
    constexpr std::int64_t kUsualContext = 4096;  // of Ollama, and of the engines that are started here
    constexpr std::int64_t kStep = 1024;
    const bool takes_it = target.backend == "ollama" || target.backend == "embedded" ||
                          (target.backend == "llamacpp" && target.url.empty());
    std::int64_t most = 0;
    for (const BenchmarkConfig& config : plan.configs) {
        if (config.context_depth <= 0) continue;
        // A tenth more than asked for, since depth is met within a few per cent; and the prompt itself, a token a byte.
        const auto prompt = static_cast<std::int64_t>(config.prompt.size());
        most = std::max(most, config.context_depth * 11 / 10 + config.max_tokens + prompt + 256);
    }
    if (!takes_it || target.options.num_ctx || most <= kUsualContext) return;
    target.options.num_ctx = static_cast<int>((most + kStep - 1) / kStep * kStep);
    target.options.origin["num_ctx"] = "--depth";
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

void add_preparation(report::Context& context, const benchmark::Preparation& prepared) {
    context.target = prepared.target;
    context.loaded = prepared.loaded;
    context.loads = prepared.loads;
    context.resident = prepared.resident;
    context.warm_up = prepared.warm_up;
    context.warm_up_steady = prepared.warm_up_steady;
    context.cache = prepared.cache;
    context.quiet = prepared.quiet;
}

std::string engine_name(const std::string& backend) {
    if (backend == "ollama") return "Ollama";
    if (backend == "openai") return "OpenAI-compatible server";
    return backend == "llamacpp" ? "llama-server" : "llama.cpp";
}

}  // namespace velollm::cli
