#pragma once

#include <velollm/result.h>
#include <velollm/spec.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "benchmark/ab.h"
#include "benchmark/session.h"
#include "system/system.h"

namespace velollm::cli {

/// How to show things; the same in every command.
struct OutputArgs {
    std::string output;  ///< empty: none; "-": standard output
    std::string format;  ///< empty: the command's own choice
    bool quiet = false;
    bool verbose = false;
    bool no_color = false;
    bool ascii = false;
};

struct BenchmarkArgs {
    OutputArgs out;
    TargetSpec target;
    std::vector<std::string> backends;  ///< two or more: measured in turn; `target.backend` is then the first
    std::string ollama_url;             ///< for several backends: Ollama's address
    std::string suite;                  ///< "standard", a file, or "-"
    std::string prompt;
    std::string name = "custom";
    std::optional<std::int64_t> max_tokens;
    std::optional<std::int64_t> iterations;
    std::vector<std::int64_t> depths;  ///< --depth; empty: none asked for
    bool reload = false;
    bool force = false;  ///< print the numbers of an invalid run
    bool quick = false;
    benchmark::Protocol protocol;
};

struct AbArgs {
    OutputArgs out;
    TargetSpec target;           ///< what both sides share
    std::vector<std::string> a;  ///< settings, as backend::set_option() takes them
    std::vector<std::string> b;
    bool null_test = false;  ///< B is A
    BenchmarkConfig config{.name = "ab",
                           .model = "",
                           .prompt = "Tell in plain words how a bicycle stays upright, and why it falls when it stops.",
                           .max_tokens = 64,
                           .iterations = 1,
                           .context_depth = 0};
    std::int64_t warm_up = 2;
    benchmark::AbPlan plan;
    std::optional<std::uint64_t> seed;
    Ns quiet_check{};
    bool json = false;
};

struct CompareArgs {
    OutputArgs out;
    std::vector<std::string> sides;  ///< files, folders, "-"; the first is the baseline
    double delta = 0.02;
    std::string metric;            ///< empty: the usual one
    std::set<std::string> varied;  ///< keys of differences that are what is compared
    bool force = false;
};

struct DetectArgs {
    OutputArgs out;
    bool json = false;
    bool bandwidth = false;  ///< measure memory and arithmetic as well
    bool timings = false;
    std::string engine;  ///< "ollama", "llamacpp": compare with what it sees; empty: ask none
};

struct DoctorArgs {
    OutputArgs out;
    std::string model;  ///< empty: the one that the server holds, else its newest
    std::string backend = "ollama";
    std::string url;
    bool json = false;
    bool quick = false;  ///< don't watch the machine
};

struct PredictArgs {
    OutputArgs out;
    bool json = false;
    bool bandwidth = false;  ///< measure how fast memory is read
    bool measure = false;    ///< time a file of the model's shape
    bool verify = false;     ///< compare formulas and engine, and nothing else
    std::string model;       ///< a GGUF file, a name of the local Ollama store or of the catalogue
    std::string mix;         ///< quantisation of a catalogue model; empty: its usual one
    std::string kv_type = "f16";
    std::int64_t context = 4096;
    std::int64_t depth = 0;
    std::string backend = "embedded";
    int threads = 0;  ///< 0: as many as are usable here
};

struct RecommendArgs {
    OutputArgs out;
    bool json = false;
    bool bandwidth = false;  ///< measure how fast memory is read
    bool all = false;        ///< print every model
    std::string kv_type = "f16";
    std::int64_t least_context = 4096;
    std::optional<double> least_tps;  ///< absent: as fast as people read
    std::string backend = "embedded";
};

struct OptimizeArgs {
    OutputArgs out;
    std::vector<std::string> formats;  ///< empty: by the output's name, else text
    std::string model;                 ///< empty: the one that the server holds, else the usual one
    std::string backend = "ollama";
    std::string url;
    std::string profile = "chat";
    std::optional<std::int64_t> context;  ///< least that is needed
    std::string max_vram;                 ///< "8G"; empty: all that is free
    bool allow_lossy = false;
    bool json = false;
    bool check = false;             ///< only compare what is set with what is in force
    bool tune = false;              ///< search by measuring
    std::string budget = "normal";  ///< as read_tune_budget() takes it
    std::string prompt;             ///< to measure with; empty: our own
    std::string draft;              ///< a model to try as a draft; empty: none
    bool fresh = false;             ///< search though it was searched before
    bool accept_tradeoffs = false;
    std::optional<std::uint64_t> seed;
    bool apply = false;
    bool yes = false;  ///< don't ask
    bool status = false;
    bool rollback = false;
    std::string rollback_id;  ///< empty: whatever is applied
};

struct SelfTestArgs {
    OutputArgs out;
    bool json = false;
};

/// Help, version or a mistake: text to print, and the exit code.
struct Printed {
    std::string text;
    bool to_stderr = false;
    int exit_code = 0;
};

using Arguments = std::variant<AbArgs, BenchmarkArgs, CompareArgs, DetectArgs, DoctorArgs, OptimizeArgs, PredictArgs,
                               RecommendArgs, SelfTestArgs, Printed>;

/// Reads the command line. Options left open come from --config FILE, else from velollm.json in the user's config
/// folder.
Arguments parse_arguments(std::vector<std::string> arguments, const system::System& system);

}  // namespace velollm::cli
