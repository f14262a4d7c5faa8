#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "optimize/doctor.h"
#include "optimize/quote.h"

namespace velollm::optimize {

/// An examination on its way.
struct Exam {
    const Subject& subject;
    Plan plan;
    Report report = {};
    std::string check = {};  ///< that is being made
    bool skipped = false;    ///< it couldn't be

    const Facts& facts() const { return subject.facts; }
    const Sight& sight() const { return subject.sight; }
    void find(Diagnosis diagnosis) { report.findings.push_back(std::move(diagnosis)); }
    void skip(std::string why) {
        report.unchecked.push_back({check, std::move(why)});
        skipped = true;
    }
    /// Skips with the reason why the server can't tell; false when it can.
    bool needs_answer();
    /// The same of the machine that the server runs on.
    bool needs_machine();
    /// The same of the server's process.
    bool needs_process();
    /// The same of its log.
    bool needs_log();
};

/// "Ollama", "llama-server".
std::string engine_words(const std::string& engine);

/// "velollm optimize MODEL", with engine and address where they aren't the usual ones.
std::string optimize_command(const Facts& facts);

/// What a finding of the plan says, under this code. Its remedy is worded from its changes.
Diagnosis diagnosis_of(const Exam& exam, const Finding& finding, std::string code, Severity severity);

// ---- The server ----
void check_server(Exam& exam);
void check_address(Exam& exam);
void check_model(Exam& exam);
void check_shell(Exam& exam);
void check_dead_names(Exam& exam);
void check_settings(Exam& exam);
void check_version(Exam& exam);

// ---- What the engine makes of the machine ----
void check_threads(Exam& exam);
void check_context(Exam& exam);
void check_model_size(Exam& exam);
void check_gpu_use(Exam& exam);
void check_offload(Exam& exam);
void check_truncation(Exam& exam);
void check_reloads(Exam& exam);
void check_build(Exam& exam);
void check_tuning(Exam& exam);
void check_roofline(Exam& exam);

// ---- The machine ----
void check_swap(Exam& exam);
void check_paging(Exam& exam);
void check_load(Exam& exam);
void check_steal(Exam& exam);
void check_quota(Exam& exam);
void check_heat(Exam& exam);
void check_governor(Exam& exam);
void check_battery(Exam& exam);
void check_disk(Exam& exam);

}  // namespace velollm::optimize
