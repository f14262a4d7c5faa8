#include "backend/started_llama_server.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "backend/http_backend.h"
#include "backend/speculation.h"
#include "base/text.h"
#include "system/process.h"

namespace velollm::backend {
namespace fs = std::filesystem;
namespace {

constexpr int kDefaultContext = 4096;  // what Ollama and the embedded engine take
constexpr std::size_t kLogBytes = std::size_t{256} << 10U;
constexpr std::size_t kShownLines = 5;

/// The last lines that tell of an error, else the last of all, each on a line of its own: behind a wrong option a page
/// of help follows.
std::string last_lines(std::string_view output) {
    std::vector<std::string> lines;
    std::vector<std::string> errors;
    for (const std::string_view line : base::split(output, '\n')) {
        const std::string text = base::one_line(base::trim(line), 160);
        if (text.empty()) continue;
        lines.push_back(text);
        if (base::lower(text).find("error") != std::string::npos) errors.push_back(text);
    }
    if (!errors.empty()) lines = std::move(errors);
    const auto shown = static_cast<std::ptrdiff_t>(std::min(kShownLines, lines.size()));
    return fmt::format("{}", fmt::join(lines.end() - shown, lines.end(), "\n"));
}

/// "offloaded 12/33 layers to GPU" -> "12/33"; empty where nothing of the kind was written.
std::string offloaded_layers(std::string_view output) {
    constexpr std::string_view kBefore = "offloaded ";
    const std::size_t end = output.find(" layers to GPU");
    if (end == std::string_view::npos) return {};
    const std::size_t begin = output.rfind(kBefore, end);
    return begin == std::string_view::npos
               ? ""
               : std::string(output.substr(begin + kBefore.size(), end - begin - kBefore.size()));
}

void describe_start(const LlamaServerSpec& spec, const std::vector<std::string>& words, const std::string& log,
                    const system::System& system, TargetInfo& info) {
    const system::Environment environment = child_environment(spec.target, system);
    info.model = spec.model;
    info.digest = spec.digest;
    info.file = spec.model_file.string();
    info.settings["flags"] = telling_flags(words);
    info.speculation = speculation_of(words, environment);
    const EngineOptions& options = spec.target.options;
    if (options.num_batch) info.settings["num_batch"] = fmt::format("{}", *options.num_batch);
    if (options.num_gpu) info.settings["num_gpu"] = fmt::format("{}", *options.num_gpu);
    info.settings["num_thread"] = fmt::format("{}", options.num_thread.value_or(spec.threads));
    if (const std::string layers = offloaded_layers(log); !layers.empty()) info.settings["offloaded_layers"] = layers;
    // It reads these for whatever its command line leaves open.
    for (const auto& [name, value] : environment)
        if (name.starts_with("LLAMA_ARG_")) info.settings[name] = value;
}

Error ended(const LlamaServerSpec& spec, const system::ProcessEnd& end, const std::string& output) {
    const std::string hint = end.signal == 9 ? "The system may have run out of memory: a smaller model, or --num-ctx."
                                             : why_llama_server_ended(output);
    return {ErrorCode::kFailed, fmt::format("llama-server ended while loading {} ({})", spec.model, end.text()),
            hint + "\nIt last wrote:\n" + last_lines(output)};
}

Result<StartedServer> start_server(const LlamaServerSpec& spec, const ServerTools& tools) {
    const auto port = system::free_loopback_port();
    if (!port) return port.error();
    const TimePoint begin = tools.clock.now();
    const std::vector<std::string> words = llama_server_words(spec, *port);
    auto process =
        system::Process::start({.words = words, .env = child_environment(spec.target, tools.system)}, tools.system);
    if (!process) return process.error();
    Target target{.spec = spec.target};
    target.spec.model.clear();  // it has one, whatever its name
    target.base = {.host = "127.0.0.1", .port = *port};
    auto transport = tools.transport();
    const Ns patience = kLoadPatience * spec.target.timeout;
    const Waiting waiting{
        .path = "/health",
        .patience = patience,
        .while_stopped = "Stopped while llama-server was loading",
        .ended = [&](const system::ProcessEnd& end, const std::string& output) { return ended(spec, end, output); },
        .late =
            [&](const std::string& output) {
                return Error{ErrorCode::kFailed,
                             fmt::format("llama-server did not get ready in {:.0f} s", to_seconds(patience)),
                             "Give it longer with --timeout. It last wrote:\n" + last_lines(output)};
            }};
    if (const auto ready = wait_until_ready(waiting, target, *process, *transport, tools, kLogBytes); !ready)
        return ready.error();
    const Ns took = tools.clock.now() - begin;
    auto inner = make_http_backend(llama_server_dialect(spec.target), std::move(target), std::move(transport),
                                   tools.clock, tools.stop);
    auto info = inner->describe();
    if (!info) return info.error();
    describe_start(spec, words, process->output(kLogBytes), tools.system, *info);
    return StartedServer{std::move(*process), std::move(inner), std::move(*info), took};
}

}  // namespace

std::string telling_flags(const std::vector<std::string>& words) {
    std::vector<std::string> told;
    for (std::size_t i = 1; i < words.size(); ++i) {
        const std::string& word = words[i];
        if (word == "-m" || word == "--host" || word == "--port") {
            ++i;
        } else if (i > 1 && words[i - 1] == "-md") {
            told.push_back(std::filesystem::path(word).filename().string());
        } else {
            told.push_back(word);
        }
    }
    return fmt::format("{}", fmt::join(told, " "));
}

system::Environment child_environment(system::Environment environment) {
    std::erase_if(environment, [](const auto& variable) {
        const std::string& name = variable.first;
        return name == "LLAMA_API_KEY" || name == "LLAMA_ARG_HOST" || name == "LLAMA_ARG_PORT" ||
               name.starts_with("LLAMA_ARG_API_KEY") || name.starts_with("LLAMA_ARG_SSL_");
    });
    return environment;
}

system::Environment child_environment(const TargetSpec& target, const system::System& system) {
    system::Environment environment = system.env;
    for (const auto& [name, value] : target.server_env) environment[name] = value;
    return child_environment(
        std::move(environment));  // what is copied from a server that runs has its key and address, too
}

std::vector<std::string> llama_server_words(const LlamaServerSpec& spec, int port) {
    const EngineOptions& options = spec.target.options;
    std::vector<std::string> words{spec.binary.string(), "-m", spec.model_file.string(), "--host", "127.0.0.1"};
    const auto add = [&](const char* option, const std::string& value) {
        words.emplace_back(option);
        words.push_back(value);
    };
    const std::string threads = std::to_string(options.num_thread.value_or(spec.threads));
    add("--port", std::to_string(port));
    const auto left_to_environment = [&](const char* name) { return spec.target.server_env.contains(name); };
    if (!left_to_environment("LLAMA_ARG_CTX_SIZE"))
        add("-c", std::to_string(options.num_ctx.value_or(kDefaultContext)));
    if (!left_to_environment("LLAMA_ARG_THREADS")) {
        add("-t", threads);
        add("-tb", threads);
    }
    if (!left_to_environment("LLAMA_ARG_N_PARALLEL")) add("-np", "1");
    words.emplace_back("--no-webui");
    if (options.num_batch) {
        add("-b", std::to_string(*options.num_batch));
        add("-ub", std::to_string(*options.num_batch));
    }
    if (options.num_gpu) add("-ngl", std::to_string(*options.num_gpu));
    if (!options.flash_attention.empty()) add("-fa", options.flash_attention);
    if (!options.kv_type.empty()) {
        add("-ctk", options.kv_type);
        add("-ctv", options.kv_type);
    }
    words.insert(words.end(), spec.speculation_words.begin(), spec.speculation_words.end());
    words.insert(words.end(), spec.target.server_flags.begin(), spec.target.server_flags.end());
    return words;
}

std::string why_llama_server_ended(std::string_view output) {
    struct Row {
        const char* sign;
        const char* hint;
    };
    for (const Row& row : {
             Row{"unknown model architecture", "This llama-server is too old for the model: take a newer one."},
             Row{"failed to allocate", "Not enough memory: a smaller --num-ctx, or a smaller model."},
             Row{"out of memory", "Not enough memory: a smaller --num-ctx, fewer --num-gpu, or a smaller model."},
             Row{"bad_alloc", "Not enough memory: a smaller --num-ctx, or a smaller model."},
             Row{"invalid argument", "This llama-server doesn't know an option that it was given: take a newer one."},
             Row{"couldn't bind", "Another program took the port in between. Try again."},
             Row{"unknown speculative type", "It knows the kinds that  llama-server --help  lists under --spec-type."},
             Row{"error while handling argument", "Check the value of the option that it names."},
         }) {
        if (output.find(row.sign) != std::string_view::npos) return row.hint;
    }
    return "Does it run by hand?  llama-server -m FILE.gguf";
}

Result<fs::path> find_llama_server(const std::string& asked, const system::System& system) {
    const std::string from = asked.empty() ? "VELOLLM_LLAMA_SERVER" : "--llama-server";
    const std::string named = asked.empty() ? system.variable("VELOLLM_LLAMA_SERVER").value_or("") : asked;
    if (!named.empty()) {
        if (system::is_executable(named)) return fs::absolute(named);
        return Error{ErrorCode::kUsage, fmt::format("Not a program: {} (from {})", named, from),
                     "Name the file of llama-server, or leave it out to have it looked for."};
    }
    if (const auto found = system::find_program(system, "llama-server")) return *found;
    const fs::path engines = system::cache_folder(system) / "engines";
    std::vector<fs::path> built;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(engines, error)) {
        const fs::path file = entry.path() / "bin/llama-server";
        if (entry.path().filename().string().starts_with("llama.cpp-") && system::is_executable(file))
            built.push_back(file);
    }
    if (!built.empty()) return *std::max_element(built.begin(), built.end());
    return Error{ErrorCode::kFailed, "llama-server not found in PATH or the cache folder",
                 "Build it:             scripts/setup\n"
                 "Or name it:           --llama-server FILE\n"
                 "Or a running one:     --url http://HOST:PORT\n"
                 "Or measure without:   velollm benchmark -b embedded -m FILE.gguf"};
}

std::unique_ptr<Backend> make_started_llama_server(LlamaServerSpec spec, ServerTools tools) {
    const int threads = spec.target.options.num_thread.value_or(spec.threads);
    const system::System system = tools.system;
    return make_started_server(
        {.start = [spec = std::move(spec), tools = std::move(tools)] { return start_server(spec, tools); },
         .complete =
             [threads, system](const StartedServer& server, bool first, LoadedModel& loaded) {
                 loaded.was_resident = !first;
                 loaded.took = server.took;
                 loaded.bytes = system::resident_bytes(system, server.process.pid());
                 loaded.threads = threads;
             },
         .kept_log_bytes = kLogBytes});
}

}  // namespace velollm::backend
