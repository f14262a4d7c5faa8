#pragma once

#include <velollm/result.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace velollm::serde {

/// Where a running engine shows what a setting is.
struct ReadBack {
    std::string place;                ///< ps, command_line, environment, child_environment, log_config, log_load ...
    std::vector<std::string> keys;    ///< what is looked for there: a field, a variable, or the spellings of a flag
    std::vector<std::string> unless;  ///< flags that win over the variable when the command line has one of them
};

/// A setting that an engine really reads through some channels (schema/velollm-knobs-1.schema.json).
struct Knob {
    std::string engine;  ///< ollama, llama-server, embedded
    std::string name;    ///< as it is written: OLLAMA_NUM_PARALLEL, num_ctx, --threads
    std::vector<std::string> aliases;
    std::vector<std::string> channels;  ///< environment, request, modelfile, flag
    std::string setting;                ///< what is set, under one name for all engines and channels
    std::string since;                  ///< first version that reads it; empty: all that are known
    std::string before;                 ///< first version that no longer does
    std::string type;                   ///< integer, boolean, text, duration, bytes
    std::vector<std::string> values;
    std::string preset;  ///< "default" in the file, in words
    bool lossless = true;
    std::vector<std::string> moves;   ///< metrics that it can move
    std::vector<ReadBack> read_back;  ///< in the order of trust
    std::string unverifiable;         ///< why nothing can be read back; empty where something can
    std::vector<std::string> excludes;
    std::string note;
    std::string source;
};

/// A name that people set and that nothing reads.
struct DeadName {
    std::string engine;
    std::string name;
    std::vector<std::string> channels;
    std::string since;
    std::string before;
    std::string setting;  ///< what was meant, where that is plain
    std::string reason;
    std::string instead;  ///< what works; may be empty
};

struct KnobList {
    std::vector<Knob> knobs;
    std::vector<DeadName> dead;
    std::map<std::string, std::vector<std::string>> other;  ///< engine -> names that it reads for other ends
};

/// Reads a registry. Refuses unknown keys and what the schema refuses in kind. `source` names the text in messages.
Result<KnobList> read_knobs(std::string_view json, const std::string& source);

}  // namespace velollm::serde
