#pragma once

#include <velollm/result.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "optimize/plan.h"
#include "optimize/proof.h"

namespace velollm::optimize {

/// In which form a plan is handed over.
enum class Format {
    kText,
    kEnv,          ///< to be sourced by sh, dash, bash, zsh
    kFish,         ///< to be sourced by fish
    kSystemd,      ///< drop-in for a unit
    kLaunchd,      ///< commands for macOS
    kPowershell,   ///< commands for Windows
    kDocker,       ///< fragment for Docker Compose
    kModelfile,    ///< for a new tag of Ollama
    kRequest,      ///< options of a request
    kLlamaServer,  ///< command line, environment file and preset of llama-server
    kJson,         ///< all of it, schema/velollm-plan-1.schema.json
};
std::string_view format_name(Format format);
std::optional<Format> parse_format(std::string_view name);
std::vector<std::string> format_names();
/// What a file's name says: "x.fish", "90-velollm.conf", "Modelfile"; env for everything else.
Format format_of_file(std::string_view name);
/// The usual name of a file of that form.
std::string usual_file(Format format);

/// The tag that a Modelfile makes beside a model's own: "llama3.2:3b-velo".
std::string velo_tag(const std::string& model);

/// One change as a channel has it.
struct Line {
    std::string name;
    std::string value;  ///< empty: take it away
    std::string why;    ///< rule and title of the finding
};
/// The changes that a channel can carry, each setting once, the last one counts.
std::vector<Line> lines_for(const Plan& plan, std::string_view channel);
/// Settings that the channel can't carry, by name.
std::vector<std::string> left_out(const Plan& plan, std::string_view channel);
/// What VeloLLM sends with its own requests when it finds these in its environment; no Ollama reads them.
std::vector<Line> own_lines(const Plan& plan);

/// The plan in this form. Pure: the same plan gives the same text. Fails where the form has no place for it, as a
/// Modelfile for llama-server.
Result<std::string> render(const Plan& plan, Format format);

/// With every finding, evidence, inputs and hashes. `created`: a timestamp; empty: none.
std::string plan_json(const Plan& plan, int indent, const std::string& created, const std::vector<Proof>* proofs);
/// For people. `unicode`: the terminal shows check marks.
std::string plan_text(const Plan& plan, bool unicode);

/// What a plan's JSON says is to be in force, and for what.
struct StoredPlan {
    std::string id;
    std::string engine;
    std::string model;
    std::vector<Expected> expected;
};
std::optional<StoredPlan> read_stored_plan(std::string_view json);

}  // namespace velollm::optimize
