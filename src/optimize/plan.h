#pragma once

#include <velollm/hardware.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/shape.h"
#include "system/system.h"

namespace velollm::optimize {

/// What the model is used for. It decides how much context is needed and which speed counts.
enum class Profile { kChat, kAgent, kRag, kBatch };

/// What a plan must keep to.
struct Limits {
    std::optional<std::int64_t> context_tokens;  ///< least context that the user needs
    std::optional<std::int64_t> max_gpu_bytes;
    bool allow_lossy = false;  ///< changes that may change the model's answers
};

/// A value that is in force, and what says so: "command line of process 123", "default of Ollama 0.32.15".
struct Setting {
    std::string value;
    std::string from;
    bool chosen = true;  ///< somebody set it; false: the engine's own default
};
/// By the names of data/knobs.json: num_ctx, threads, parallel ...
using Settings = std::map<std::string, Setting>;

/// A process of the engine as /proc shows it. Of its environment only engines' variables are kept.
struct ObservedProcess {
    int pid = 0;
    std::vector<std::string> words;  ///< its command line; empty: not readable
    system::Environment env;
    bool env_known = false;
};

/// A model that the server holds.
struct ObservedModel {
    std::string name;
    std::int64_t context = 0;
    std::int64_t total_bytes = 0;
    std::int64_t gpu_bytes = 0;
};

/// What was seen of a server. All of it may be missing; `unseen` says what is, and why.
struct Observed {
    std::string engine;   ///< ollama, llama-server, embedded
    std::string version;  ///< of the server, else of the installed program; empty: unknown
    std::string url;
    std::string model;  ///< that is looked at: the one that was asked for, else one that is loaded, else the usual one
    bool answering = false;
    bool model_absent = false;  ///< the server says that it has no such model
    std::string manager;        ///< "systemd unit ollama.service", "container", "process 123"; empty: unknown
    std::string unit;           ///< of systemd, where one runs it
    bool container = false;     ///< it runs in a container of its own
    std::optional<ObservedProcess> server;
    std::optional<ObservedProcess> worker;  ///< the child that holds the model; llama-server itself holds its own
    std::vector<ObservedModel> models;
    std::optional<std::int64_t> slot_context;  ///< llama-server: context of one slot
    std::optional<std::int64_t> slots;
    std::string log;  ///< end of the server's log, where it is a readable file
    std::string log_path;
    std::map<std::string, std::string> modelfile;  ///< PARAMETER lines of the model
    std::string model_file;                        ///< of its weights, as the server names it; empty: it doesn't
    std::vector<std::string> unseen;

    const ObservedModel* find_model(const std::string& name) const;
    /// llama-server: all slots share one cache, so that each can have the whole context.
    bool shares_cache() const;
    /// The process whose command line shows what the engine was told: the worker, else the server.
    const ObservedProcess* engine_process() const;
};

/// Everything that a plan is made from.
struct Facts {
    std::string engine = "ollama";
    std::string version;  ///< empty: taken for the newest that is known
    std::string model;
    Profile profile = Profile::kChat;
    Limits limits;
    std::string draft_model = {};  ///< file of a model that may draft for it; empty: none was named
    Hardware hardware;
    /// What the server's processes may use; where no server was seen, what this process may.
    UsableThreads threads;
    std::int64_t memory_bytes = 0;  ///< free for the model there, with what it holds already
    std::optional<model::ModelShape> shape;
    Observed observed;
    Settings settings;
    system::Environment shell;  ///< engines' variables of the shell that this program was started in
    std::vector<std::string> unseen;
};

/// One setting to be changed. What writes it is looked up in the registry, channel by channel.
struct Change {
    std::string setting;
    std::string old_value;  ///< empty: unknown
    std::string value;      ///< empty: take it away
    std::string channel;    ///< the narrowest that does it: modelfile, environment, flag, request
    std::string knob;       ///< its name there
};

/// What a change does to one metric, as factors: 2..5 is two to five times as much.
struct Effect {
    std::string metric;  ///< decode, prefill, ttft, memory, throughput
    double low = 1.0;
    double high = 1.0;
};

enum class Confidence { kLow, kMedium, kHigh };

/// One thing that a rule found.
struct Finding {
    std::string rule;  ///< R1 .. R12
    std::string title;
    std::vector<std::string> evidence;
    std::vector<Change> changes;  ///< none: advice, which `advice` words
    std::string advice;
    std::vector<Effect> effects;
    Confidence confidence = Confidence::kMedium;
    bool lossless = true;
    bool trial = false;  ///< can't be known before it is measured: never written into a file
    std::string verify;
    std::string undo;
};

/// What to change, and why. Without a change it is R0: the configuration is as good as rules can make it.
struct Plan {
    std::string id;  ///< twelve hexadecimal digits over what it is made of
    std::string engine;
    std::string version;
    std::string model;
    Profile profile = Profile::kChat;
    Limits limits;
    std::vector<Finding> findings;
    std::vector<std::string> notes;   ///< what was considered and not proposed, and why
    std::vector<std::string> unseen;  ///< what could not be seen, and why
    Settings settings;                ///< in force when it was made
    std::string threads_reason;
    int usable_threads = 1;
    std::int64_t memory_bytes = 0;
    std::int64_t model_bytes = 0;  ///< of its tensors; 0: unknown
    std::string quantization;
    std::string manager;
    std::string unit;
    std::string processor;
    bool measured = false;  ///< made by a search, not by the rules
    std::string outcome;    ///< of the search, where it changes nothing, in words
    bool settled = false;   ///< of the search: nothing better is there, as far as it can see
    bool unmet = false;     ///< a limit of the user's can't be kept: a note says why
    /// Settings for which a variable of the server does nothing, since something else wins, and what that is.
    std::map<std::string, std::string> pinned = {};

    /// Enough was seen, and nothing found, so that nothing needs a change.
    bool judged() const;
    /// Why there is nothing to change, in words for a person.
    std::string nothing_to_change() const;
    /// All changes that may be written, in order.
    std::vector<Change> changes() const;
};

/// Applies the rules. Pure: the same facts give the same plan.
Plan make_plan(const Facts& facts);

/// chat, agent, rag, batch.
std::string_view profile_name(Profile profile);
std::optional<Profile> parse_profile(std::string_view name);
/// Tokens that a request of the profile needs, prompt and answer.
std::int64_t profile_context(Profile profile);

std::string_view confidence_name(Confidence confidence);

/// The whole number that a setting has; nothing when it is unknown or no number.
std::optional<std::int64_t> number_of(const Settings& settings, const std::string& name);
/// Its text; empty when unknown.
std::string text_of(const Settings& settings, const std::string& name);
/// VeloLLM sends these variables with its own requests, so that in a shell they do something; no Ollama reads them.
bool sent_by_us(std::string_view variable);
/// The value that a dead name was to give `setting` is in force by other means: the name does no harm.
bool in_force(const Settings& settings, const std::string& setting, const std::string& value);
/// The model's own parameters have a value for it, which wins over a variable.
bool in_modelfile(const Facts& facts, const std::string& setting);
/// Somebody set it.
bool is_chosen(const Settings& settings, const std::string& name);

}  // namespace velollm::optimize
