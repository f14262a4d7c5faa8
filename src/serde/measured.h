#pragma once

#include <velollm/result.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace velollm::serde {

/// Values of one metric of one workload, as a file has them.
struct MeasuredMetric {
    /// Of the metric table (docs/metrics.md) where the meaning is the same: decode_tps, prefill_tps, ttft_ms, tpot_ms,
    /// e2e_ms; else the tool's own name behind its own, "llama_bench.avg_ts". "tokens_per_second",
    /// "time_to_first_token_ms" and "total_time_ms" have the meanings of the original result file.
    std::string key;
    bool higher_is_better = true;
    /// In the order they were taken; empty where the file has a summary only.
    std::vector<double> samples = {};
    /// Of each sample what it shares with the sample of another run that was measured in turn with this one; empty:
    /// nothing was.
    std::vector<std::string> pair_keys = {};
    std::optional<double> centre = {};  ///< what the file states; set where there are no samples
    /// "mean", "median"; "sum" over n requests; "value" of the whole run; "p99" and the like.
    std::string centre_is = {};
    std::optional<double> spread = {};  ///< standard deviation that it states
    std::size_t n = 0;                  ///< requests or repetitions; 0: unknown
};

/// One benchmark of a file.
struct MeasuredWorkload {
    std::string name;
    /// What it was measured on, by these names where the file tells: model, digest, quantization, engine,
    /// engine_version, context_tokens, prompt_tokens, output_tokens, context_depth, concurrency, workload, hardware,
    /// machine, backend, settings, spec_type, draft. `hardware` and `workload` are keys or texts that are equal for
    /// equal things; `model_type` is the kind of model where a tool tells that beside its file, or instead.
    std::map<std::string, std::string> identity = {};
    std::vector<MeasuredMetric> metrics = {};
    std::string run_id = {};  ///< of the command that measured it; equal for what was measured in turn
    std::string when = {};    ///< UTC; empty: unknown
    std::string status = {};  ///< ok, partial, failed, invalid; empty: the file doesn't tell

    const MeasuredMetric* find(std::string_view key) const;
};

/// A result file of this program or of another one.
struct MeasuredFile {
    std::string tool;  ///< velollm, llama-bench, ollama-bench, vllm, aiperf, guidellm, llama-benchy
    std::vector<MeasuredWorkload> workloads;
    std::vector<std::string> notes;  ///< what a reader must know of figures that mean something else there
};

/// Reads a result file, whichever tool wrote it: the form is told from the text. `source` names it in messages. Texts
/// of the file have no control characters, which could steer a terminal.
Result<MeasuredFile> read_measured(std::string_view text, const std::string& source);

/// The processors that a hardware.json of `velollm detect` names, as `machine` of an identity; empty for another text.
std::string machine_of_hardware(std::string_view text);

/// Whether more of a metric of our own files is better; nothing for a key that says nothing of it. Equal to the metric
/// table's, which can't be reached from here; a test compares them.
std::optional<bool> higher_is_better(std::string_view key);

// ---- One form each; the first that recognises a text has it ----

/// Whether a text has the form, and what is in it. An error is for a text of that form that is broken.
using Importer = std::optional<Result<MeasuredFile>> (*)(std::string_view text, const std::string& source);

std::optional<Result<MeasuredFile>> import_velollm(std::string_view text, const std::string& source);
std::optional<Result<MeasuredFile>> import_llama_bench(std::string_view text, const std::string& source);
std::optional<Result<MeasuredFile>> import_ollama_bench(std::string_view text, const std::string& source);
std::optional<Result<MeasuredFile>> import_vllm(std::string_view text, const std::string& source);
std::optional<Result<MeasuredFile>> import_aiperf(std::string_view text, const std::string& source);
std::optional<Result<MeasuredFile>> import_guidellm(std::string_view text, const std::string& source);
std::optional<Result<MeasuredFile>> import_llama_benchy(std::string_view text, const std::string& source);

}  // namespace velollm::serde
