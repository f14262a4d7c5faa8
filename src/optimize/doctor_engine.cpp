#include <fmt/core.h>

#include <algorithm>

#include "base/text.h"
#include "hardware/engine_view.h"
#include "optimize/doctor_checks.h"
#include "optimize/rules.h"

namespace velollm::optimize {
namespace {

std::vector<const Finding*> findings_of(const Exam& exam, std::string_view rule) {
    std::vector<const Finding*> out;
    for (const Finding& finding : exam.plan.findings)
        if (finding.rule == rule) out.push_back(&finding);
    return out;
}

/// Why the rules about memory had nothing to go by; false where they had.
bool skip_without_memory(Exam& exam) {
    const Facts& facts = exam.facts();
    if (!exam.needs_machine()) return true;
    if (!facts.shape) {
        exam.skip(facts.model.empty() ? "no model was named"
                                      : fmt::format("the shape of {} is unknown: its file isn't here", facts.model));
    } else if (!number_of(facts.settings, "num_ctx")) {
        exam.skip("the context in force is unknown");
    } else if (facts.memory_bytes <= 0) {
        exam.skip("the memory of this machine is unknown");
    } else {
        return false;
    }
    return true;
}

void add_limit(const Exam& exam, Diagnosis& diagnosis) {
    if (const auto& limit = exam.sight().memory_limit_bytes)
        diagnosis.evidence.push_back(fmt::format("the cgroup of the server has a limit of {}", size_words(*limit)));
}

/// Lines of the log with this mark; `last` becomes the last of them.
int count_lines(std::string_view log, std::string_view mark, std::string& last) {
    int count = 0;
    for (const std::string_view line : base::split(log, '\n'))
        if (line.find(mark) != std::string_view::npos) {
            ++count;
            last = std::string(line);
        }
    return count;
}

/// "limit=4096" in a line of Ollama's log.
std::optional<std::int64_t> number_after(std::string_view line, std::string_view mark) {
    const std::size_t at = line.find(mark);
    if (at == std::string_view::npos) return std::nullopt;
    const std::string_view rest = line.substr(at + mark.size());
    return base::parse_int(rest.substr(0, rest.find_first_not_of("0123456789")));
}

/// What the engine told of itself in its log, for hardware::judge_engine.
EngineView view_of(const Facts& facts) {
    EngineView view;
    view.engine = engine_words(facts.engine);
    hardware::read_engine_report(facts.observed.log, view);
    if (view.features.empty()) view.features = features_in_log(facts.observed.log);
    return view;
}

std::vector<HardwareWarning> engine_warnings(const Exam& exam, std::string_view code) {
    std::vector<HardwareWarning> out;
    for (HardwareWarning& warning : hardware::judge_engine(exam.facts().hardware, view_of(exam.facts())))
        if (warning.code == code) out.push_back(std::move(warning));
    return out;
}

Diagnosis from_warning(const HardwareWarning& warning, std::string code, Severity severity) {
    Diagnosis out;
    out.code = std::move(code);
    out.severity = severity;
    out.title = warning.message;
    while (out.title.ends_with('.')) out.title.pop_back();
    out.remedy = warning.hint;
    out.docs = "docs/hardware-gpu.md";
    return out;
}

/// GPUs that no backend can use, as far as files tell, and device files that the server may not open.
void check_gpu_files(Exam& exam) {
    for (const HardwareWarning& warning : exam.facts().hardware.warnings)
        if (warning.code == "gpu-driver-missing")
            exam.find(from_warning(warning, "gpu_driver_missing", Severity::kWarning));
    const ObservedModel* loaded = exam.facts().observed.find_model(exam.facts().model);
    for (const ClosedDevice& device : exam.sight().closed_devices) {
        if (loaded != nullptr && loaded->gpu_bytes > 0) break;  // it is used all the same
        Diagnosis closed;
        closed.code = "gpu_group";
        closed.severity = Severity::kProblem;
        closed.title = fmt::format("The user {} may not open {}: its GPU can't be used", device.user, device.path);
        closed.evidence = {
            fmt::format("{} is for the group {} alone, and {} isn't in it", device.path, device.group, device.user)};
        closed.remedy = "Add the user to the group, and start the server again (for a shell: log in again).";
        closed.command = fmt::format("sudo usermod -aG {} {}", shell_word(device.group), shell_word(device.user));
        closed.gain = {{"decode", 1.0, 10.0}};
        closed.docs = "docs/hardware-gpu.md";
        exam.find(std::move(closed));
    }
    for (const Gpu& gpu : exam.facts().hardware.gpus) {
        const bool none = !gpu.driver.empty() && !gpu.backends.empty() &&
                          std::all_of(gpu.backends.begin(), gpu.backends.end(),
                                      [](const GpuBackend& backend) { return backend.usable == false; });
        if (!none) continue;
        Diagnosis unusable;
        unusable.code = "gpu_unusable";
        unusable.severity = gpu.integrated ? Severity::kNote : Severity::kWarning;
        unusable.title = fmt::format("No engine can use {} as it is set up", gpu.name);
        for (const GpuBackend& backend : gpu.backends)
            unusable.evidence.push_back(fmt::format("{}: {}", backend.name, backend.reason));
        unusable.remedy = "Install what is missing for one of them.";
        unusable.docs = "docs/hardware-gpu.md";
        exam.find(std::move(unusable));
    }
}

}  // namespace

void check_threads(Exam& exam) {
    const Facts& facts = exam.facts();
    if (facts.engine == "embedded") return;
    if (!exam.needs_machine()) return;
    for (const Finding* finding : findings_of(exam, "R1")) {
        const bool too_many = finding->title.starts_with("Too many");
        Diagnosis threads = diagnosis_of(
            exam, *finding, "threads", too_many && facts.observed.answering ? Severity::kProblem : Severity::kWarning);
        std::string line;
        const bool pool = count_lines(facts.observed.log, "threadpool init, n_threads = ", line) > 0;
        if (const auto shown = threads_in_log(facts.observed.log))
            threads.evidence.push_back(fmt::format("its log says n_threads = {}", *shown));
        else if (const auto started = number_after(line, "n_threads = "); pool && started)
            threads.evidence.push_back(fmt::format("its log says n_threads = {}", *started));
        exam.find(std::move(threads));
    }
}

void check_context(Exam& exam) {
    if (skip_without_memory(exam)) return;
    for (const Finding* finding : findings_of(exam, "R2")) {
        if (finding->changes.empty()) continue;
        Diagnosis spill = diagnosis_of(exam, *finding, "context_spill", Severity::kProblem);
        add_limit(exam, spill);
        exam.find(std::move(spill));
    }
    for (const Finding* finding : findings_of(exam, "R4"))
        exam.find(diagnosis_of(exam, *finding, "parallel_caches", Severity::kProblem));
}

void check_model_size(Exam& exam) {
    if (skip_without_memory(exam)) return;
    for (const Finding* finding : findings_of(exam, "R2")) {
        if (!finding->changes.empty()) continue;
        Diagnosis large = diagnosis_of(exam, *finding, "model_too_large", Severity::kProblem);
        add_limit(exam, large);
        large.command = fmt::format("velollm predict {} --quantization Q4_0", shell_word(exam.facts().model));
        large.docs = "docs/predict.md";
        exam.find(std::move(large));
    }
}

void check_gpu_use(Exam& exam) {
    const Facts& facts = exam.facts();
    if (!exam.needs_machine()) return;
    if (facts.hardware.gpus.empty()) return;
    bool told = false;
    for (const Finding* finding : findings_of(exam, "R8")) {
        Diagnosis unused = diagnosis_of(exam, *finding, "gpu_unused",
                                        facts.hardware.gpus.front().integrated ? Severity::kNote : Severity::kProblem);
        exam.find(std::move(unused));
        told = true;
    }
    if (!told && !facts.observed.log.empty())
        for (const HardwareWarning& warning : engine_warnings(exam, "engine-gpu-unseen"))
            exam.find(from_warning(warning, "gpu_unseen", Severity::kProblem));
    check_gpu_files(exam);
}

void check_offload(Exam& exam) {
    const Facts& facts = exam.facts();
    if (!exam.needs_answer()) return;
    Diagnosis partial;
    partial.code = "partial_offload";
    partial.severity = Severity::kProblem;
    partial.gain = {{"decode", 1.5, 10.0}};
    partial.remedy =
        "Make it fit: a smaller context, quantisation or model, or fewer other programs on the GPU. 'predict' says "
        "what each takes.";
    partial.command = fmt::format("velollm predict {}", shell_word(facts.model));
    partial.docs = "docs/predict.md";
    if (const ObservedModel* loaded = facts.observed.find_model(facts.model)) {
        if (loaded->gpu_bytes <= 0 || loaded->gpu_bytes >= loaded->total_bytes) return;
        const std::int64_t rest = loaded->total_bytes - loaded->gpu_bytes;
        partial.title = fmt::format("{:.0f} % of the model is not on the GPU",
                                    100.0 * static_cast<double>(rest) / static_cast<double>(loaded->total_bytes));
        partial.evidence = {
            fmt::format("/api/ps: {} of {} on a GPU", size_words(loaded->gpu_bytes), size_words(loaded->total_bytes)),
            "what is left over is computed by the processor, at its memory's speed"};
        return exam.find(std::move(partial));
    }
    if (facts.engine == "ollama") return exam.skip(fmt::format("{} isn't loaded: use it once", facts.model));
    std::string line;
    if (!exam.needs_log() || count_lines(facts.observed.log, "offloaded ", line) == 0) return;
    const auto done = number_after(line, "offloaded ");
    const auto all = number_after(line, "/");
    if (!done || !all || *done == 0 || *done >= *all) return;
    partial.title = fmt::format("{} of {} layers are not on the GPU", *all - *done, *all);
    partial.evidence = {fmt::format("its log: offloaded {}/{} layers to GPU", *done, *all)};
    exam.find(std::move(partial));
}

void check_truncation(Exam& exam) {
    const Facts& facts = exam.facts();
    auto context = number_of(facts.settings, "num_ctx");
    const std::int64_t slots = divided_by(facts);
    if (context) *context /= slots;
    const std::int64_t need = profile_context(facts.profile);
    const auto with_context = [&](const std::string& tokens) {
        return fmt::format("{} --ctx {} {}", optimize_command(facts), tokens,
                           facts.engine == "ollama" ? "-o Modelfile" : "--format llama-server");
    };
    const std::string optimize = with_context("N");
    if (context && *context < need) {
        Diagnosis low;
        low.code = "context_short";
        low.title = fmt::format("The context of {} is short: a chat with its answer takes {}", *context, need);
        low.evidence = {slots > 1 ? fmt::format("{} slots share {} ({})", slots, *context * slots,
                                                facts.settings.at("num_ctx").from)
                                  : fmt::format("context {} ({})", *context, facts.settings.at("num_ctx").from),
                        facts.engine == "ollama" ? "Ollama cuts longer prompts without telling the client"
                                                 : "longer prompts are refused"};
        low.remedy = "Choose a longer one.";
        low.command = with_context(std::to_string(need));
        low.docs = "docs/optimize.md, rule R2";
        exam.find(std::move(low));
    }
    if (facts.observed.log.empty()) {
        (void)exam.needs_log();
        return;
    }
    struct Mark {
        const char* text;
        const char* code;
        const char* title;
        const char* remedy;
    };
    for (const Mark& mark :
         {Mark{"truncating input prompt", "prompt_truncated", "prompts were cut to the context, and no client was told",
               "Choose a context N that holds the longest prompt and its answer."},
          Mark{"context shift, n_keep", "context_shift", "times the beginning of a conversation was dropped",
               "Choose a context N that holds the whole conversation."},
          Mark{"exceeds the available context size", "prompt_refused", "prompts were refused as too long",
               "Choose a context N that holds the longest prompt and its answer."}}) {
        std::string line;
        const int count = count_lines(facts.observed.log, mark.text, line);
        if (count == 0) continue;
        Diagnosis cut;
        cut.code = mark.code;
        cut.title = fmt::format("{} {}", count, mark.title);
        const auto limit = number_after(line, "limit=");
        const auto prompt = number_after(line, "prompt=");
        cut.evidence = {limit && prompt ? fmt::format("the last one: {} tokens, cut to {}", *prompt, *limit)
                                        : base::one_line(base::trim(line), 120),
                        fmt::format("the log {}", facts.observed.log_path)};
        cut.remedy = mark.remedy;
        cut.command = optimize;
        cut.docs = "docs/optimize.md, rule R2";
        exam.find(std::move(cut));
    }
}

void check_reloads(Exam& exam) {
    if (!exam.needs_log()) return;
    for (const Finding* finding : findings_of(exam, "R9"))
        exam.find(diagnosis_of(exam, *finding, "reloads", Severity::kWarning));
}

void check_build(Exam& exam) {
    const Facts& facts = exam.facts();
    if (facts.engine == "embedded") return;
    if (!exam.needs_log()) return;
    if (view_of(facts).features.empty())
        return exam.skip(
            facts.engine == "ollama"
                ? "its log has no line on it: a model must have been loaded since it began"
                : "its log has no line on it: start it with -lv 4, or ask 'velollm detect --engine llamacpp'");
    for (const HardwareWarning& warning : engine_warnings(exam, "engine-simd")) {
        Diagnosis plain = from_warning(warning, "no_simd", Severity::kProblem);
        plain.gain = {{"decode", 2.0, 7.0}, {"prefill", 2.0, 10.0}};
        plain.docs = "docs/doctor.md";
        exam.find(std::move(plain));
    }
}

void check_tuning(Exam& exam) {
    for (const Finding& finding : exam.plan.findings) {
        if (finding.rule == "R5") exam.find(diagnosis_of(exam, finding, "experts_fixed", Severity::kWarning));
        if (finding.rule == "R6") exam.find(diagnosis_of(exam, finding, "batch", Severity::kWarning));
        if (finding.rule == "R7") exam.find(diagnosis_of(exam, finding, "flash_attention", Severity::kNote));
        if (finding.rule == "R10") exam.find(diagnosis_of(exam, finding, "keep_alive", Severity::kNote));
    }
}

void check_roofline(Exam& exam) {
    constexpr double kLow = 0.30;
    constexpr double kVeryLow = 0.10;
    if (!exam.needs_machine()) return;
    const auto& speed = exam.sight().speed;
    if (!speed)
        return exam.skip(
            "no benchmark of this model here with a measured bandwidth: 'velollm predict MODEL --bandwidth', then "
            "'velollm benchmark'");
    const double share = speed->decode_tps * speed->bytes_per_token / (speed->read_gbps * 1e9);
    if (share >= kLow) return;
    Diagnosis low;
    low.code = "roofline";
    low.severity = share < kVeryLow ? Severity::kWarning : Severity::kNote;
    low.title = fmt::format("Decode reaches {:.0f} % of what the memory allows", 100.0 * share);
    low.evidence = {fmt::format("measured {:.1f} tok/s ({}), {:.0f} MB read for each", speed->decode_tps, speed->when,
                                speed->bytes_per_token / 1e6),
                    fmt::format("the memory reads {:.1f} GB/s", speed->read_gbps),
                    share < kVeryLow ? "so low a share comes from too many threads, a quota, swap or the wrong device"
                                     : "the kernels' arithmetic is the limit: usual for small models"};
    low.remedy = share < kVeryLow ? "Mend what else stands here, and measure again."
                                  : "Another quantisation or a build for this processor may help.";
    low.command = fmt::format("velollm benchmark -m {}", shell_word(exam.facts().model));
    low.gain = {{"decode", 1.0, 0.8 / std::max(share, 0.01)}};
    low.docs = "docs/predict.md";
    exam.find(std::move(low));
}

}  // namespace velollm::optimize
