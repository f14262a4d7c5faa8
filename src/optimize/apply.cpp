#include "optimize/apply.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/digest.h"
#include "optimize/outputs.h"
#include "optimize/registry.h"

namespace velollm::optimize {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kMark = "# VeloLLM applied plan ";

/// The plan with the changes only that `keep` wants.
Plan part_of(const Plan& plan, const std::function<bool(const Change&)>& keep) {
    Plan part = plan;
    for (Finding& finding : part.findings)
        std::erase_if(finding.changes, [&](const Change& change) { return !keep(change); });
    std::erase_if(part.findings, [](const Finding& finding) { return finding.changes.empty(); });
    return part;
}

/// Each change under the name that the unit's environment has for it.
Result<std::vector<Expected>> in_environment(const Plan& plan) {
    std::vector<Expected> all;
    for (const Change& change : plan.changes()) {
        Expected one{change.setting, change.value, "environment", change.knob};
        if (const auto pin = plan.pinned.find(change.setting); pin != plan.pinned.end() && !change.value.empty())
            return Error{ErrorCode::kFailed,
                         fmt::format("{} can't be set through the unit: {} wins", change.setting, pin->second),
                         "See  velollm optimize  for what to change, and change it there. Nothing was changed."};
        if (change.channel != "environment") {
            const Knob* knob = knob_for(plan.engine, plan.version, "environment", change.setting);
            if (knob == nullptr)
                return Error{ErrorCode::kFailed, fmt::format("{} can't be set through the unit", change.setting),
                             "See  velollm optimize  for the words of the command line, and set them by hand."};
            one.knob = knob->name;
        }
        std::erase_if(all, [&](const Expected& other) { return other.knob == one.knob; });
        all.push_back(std::move(one));
    }
    return all;
}

Error needs_restart(const Plan& plan) {
    const std::string start = plan.engine == "ollama" ? "ollama serve" : "llama-server, with your own words";
    return {ErrorCode::kFailed,
            fmt::format("The change needs a restart of {}, which isn't VeloLLM's to do: no unit of systemd runs it",
                        plan.manager.empty() ? "the server" : plan.manager),
            fmt::format("By hand:\n  velollm optimize -o velollm.sh\n  stop the server, then in one shell:\n  "
                        ". ./velollm.sh\n  {}\n  velollm optimize --check\nNothing was changed.",
                        start)};
}

/// The file as it is. An error where it isn't ours to replace.
Result<FileChange> snapshot(const fs::path& path, const std::string& after) {
    FileChange file;
    file.path = path.string();
    file.after_hash = base::sha256_hex(after);
    std::error_code error;
    const fs::file_status status = fs::symlink_status(path, error);
    file.existed = fs::exists(status);
    if (file.existed) {
        const auto text = fs::is_regular_file(status) ? system::read_file(path) : std::nullopt;
        if (!text || !is_ours(*text))
            return Error{ErrorCode::kFailed, fmt::format("{} is in the way: VeloLLM didn't write it so", path.string()),
                         "Move it away, or take its lines over into a file of another name. Nothing was changed."};
        file.before = *text;
    }
    file.before_hash = base::sha256_hex(file.before);
    return file;
}

std::vector<std::string> missing_folders(fs::path folder) {
    std::vector<std::string> missing;
    std::error_code error;
    for (; !folder.empty() && !fs::exists(folder, error); folder = folder.parent_path())
        missing.insert(missing.begin(), folder.string());
    return missing;
}

/// Writes down each step before it is done and after it.
class Steps {
public:
    Steps(Applied& applied, const Hands& hands, const system::System& system)
        : applied_(applied), hands_(hands), system_(system) {}

    Result<void> run(const std::string& step, const std::function<Result<void>()>& body) {
        applied_.step = step;
        if (auto told = record(false); !told) return told;
        if (auto done = body(); !done) return done;
        return record(true);
    }

    Result<void> record(bool done) {
        applied_.step_done = done;
        if (auto written = write_journal(applied_, system_); !written) return written;
        if (hands_.at) hands_.at(applied_);
        return {};
    }

private:
    Applied& applied_;
    const Hands& hands_;
    const system::System& system_;
};

Result<void> run_steps(Applied& now, const ApplyPlan& wanted, const Hands& hands, const system::System& system) {
    Steps steps(now, hands, system);
    if (auto taken = steps.run("snapshot", [] { return Result<void>(); }); !taken) return taken;
    if (!now.files.empty()) {
        const fs::path path = now.files.front().path;
        auto made = steps.run("folder", [&] { return system::make_folder(path.parent_path()); });
        if (made) made = steps.run("write", [&] { return system::write_file_atomic(path, wanted.content); });
        if (!made) return made;
    }
    if (!now.tag.empty()) {
        const auto made = steps.run("tag", [&]() -> Result<void> {
            const auto digest = hands.make_tag(wanted);
            if (!digest) return digest.error();
            now.tag_digest = *digest;
            return {};
        });
        if (!made) return made;
    }
    if (!now.unit.empty()) {
        now.restarted = true;
        if (auto done = steps.run("restart", [&] { return hands.restart(now); }); !done) return done;
    }
    auto good = steps.run("health", [&] { return hands.wait_healthy(now); });
    if (good) good = steps.run("proof", [&] { return hands.proof(now); });
    if (good) good = steps.run("benchmark", [&] { return hands.compare(now); });
    if (!good) return good;
    now.state = "applied";
    return steps.record(true);
}

std::string hash_at(const std::string& path) {
    std::error_code error;
    if (!fs::exists(fs::symlink_status(path, error))) return "";
    return base::sha256_hex(system::read_file(path).value_or(""));
}

/// Where a file stands in its way back: 0 it is there already, 1 it is as we wrote it, 2 somebody else has changed it.
enum class Way { kBack, kOurs, kForeign };

Way way_of(const FileChange& file) {
    const std::string now = hash_at(file.path);
    if (now == (file.existed ? file.before_hash : "")) return Way::kBack;
    return now == file.after_hash ? Way::kOurs : Way::kForeign;
}

Result<void> put_back(const FileChange& file, int writer) {
    std::error_code error;
    // What a write that was cut short has left.
    fs::remove(fmt::format("{}.{}.tmp", file.path, writer), error);
    if (way_of(file) != Way::kOurs) return {};
    if (file.existed) return system::write_file_atomic(file.path, file.before);
    fs::remove(file.path, error);
    if (!error) return {};
    return Error{ErrorCode::kFailed, fmt::format("Cannot remove {}: {}", file.path, error.message()),
                 "Run  velollm optimize --rollback  as the user who may."};
}

/// Whether the tag is still the one that was made. True: it is there.
Result<bool> tag_stands(const Applied& applied, const Hands& hands) {
    auto digest = hands.find_tag(applied.tag);
    if (!digest) return digest.error();
    if (digest->empty()) return false;
    if (applied.tag_digest.empty() || *digest == applied.tag_digest) return true;
    return Error{ErrorCode::kUsage, fmt::format("Not rolled back: the model {} was made anew", applied.tag),
                 fmt::format("Copy it if you want it (ollama cp), remove it (ollama rm {}), then again:  velollm "
                             "optimize --rollback",
                             applied.tag)};
}

Result<void> check_unchanged(const Applied& applied, const Hands& hands) {
    if (const auto changed = changed_since(applied); !changed.empty())
        return Error{ErrorCode::kFailed, fmt::format("Not rolled back: {}", fmt::join(changed, "; ")),
                     "Somebody has changed it since it was applied. Move it away, or put it back, then again:  velollm "
                     "optimize --rollback"};
    if (applied.tag.empty()) return {};
    const auto stands = tag_stands(applied, hands);
    // A server that a setting keeps from coming up can't be asked for its models before the setting is gone.
    if (stands || (applied.restarted && stands.error().code != ErrorCode::kUsage)) return {};
    return stands.error();
}

}  // namespace

fs::path drop_in(const Service& service, const system::System& system) {
    fs::path base = system.root / "etc/systemd/system";
    if (service.user) {
        const auto config = system.variable("XDG_CONFIG_HOME");
        base = config ? fs::path(*config) : fs::path(system.variable("HOME").value_or("/")) / ".config";
        base /= "systemd/user";
    }
    return base / (service.unit + ".d") / "90-velollm.conf";
}

std::string marked(const std::string& id, const std::string& content) {
    return fmt::format("{}{}, sha256 of the lines below {}\n{}", kMark, id, base::sha256_hex(content), content);
}

bool is_ours(std::string_view text) {
    const std::size_t end = text.find('\n');
    if (!text.starts_with(kMark) || end == std::string_view::npos) return false;
    return text.substr(0, end).ends_with(base::sha256_hex(text.substr(end + 1)));
}

std::vector<std::string> changed_since(const Applied& applied) {
    std::vector<std::string> changed;
    for (const FileChange& file : applied.files)
        if (way_of(file) == Way::kForeign) changed.push_back(fmt::format("{} isn't as it was written", file.path));
    return changed;
}

Result<ApplyPlan> prepare_apply(const Plan& plan, const Service& service, const std::string& url,
                                const system::System& system) {
    const auto of_model = [](const Change& change) { return change.channel == "modelfile" && !change.value.empty(); };
    const Plan server = part_of(plan, [&](const Change& change) { return !of_model(change); });
    const Plan model = part_of(plan, of_model);
    ApplyPlan wanted;
    Applied& journal = wanted.journal;
    journal = {.id = plan.id, .engine = plan.engine, .version = plan.version, .model = plan.model, .url = url};
    journal.created = system::utc_timestamp(system::unix_now_ms() / 1000);
    if (!server.changes().empty()) {
        if (service.unit.empty()) return needs_restart(plan);
        journal.unit = service.unit;
        journal.user_unit = service.user;
        auto expected = in_environment(server);
        if (!expected) return expected.error();
        journal.expected = *std::move(expected);
        const auto text = render(server, Format::kSystemd);
        if (!text) return text.error();
        wanted.content = marked(plan.id, *text);
        const fs::path path = drop_in(service, system);
        auto file = snapshot(path, wanted.content);
        if (!file) return file.error();
        journal.files.push_back(*std::move(file));
        journal.folders = missing_folders(path.parent_path());
    }
    if (!model.changes().empty()) {
        journal.tag = velo_tag(plan.model);
        for (const Line& line : lines_for(model, "modelfile")) wanted.parameters.emplace_back(line.name, line.value);
        for (Expected& one : expected_of(model.changes())) journal.expected.push_back(std::move(one));
    }
    return wanted;
}

Result<Applied> apply(const ApplyPlan& wanted, const Hands& hands, const system::System& system) {
    Applied now = wanted.journal;
    if (!now.tag.empty()) {
        const auto there = hands.find_tag(now.tag);
        if (!there) return there.error();
        if (!there->empty())
            return Error{ErrorCode::kFailed, fmt::format("There is a model {} already", now.tag),
                         fmt::format("It isn't overwritten. Remove it if it isn't needed:  ollama rm {}\nNothing was "
                                     "changed.",
                                     now.tag)};
    }
    const auto done = run_steps(now, wanted, hands, system);
    if (done) return now;
    Error error = done.error();
    if (now.step == "snapshot") return error;  // nothing was changed yet
    const auto back = roll_back(now, hands, system);
    error.hint = back ? "Everything is back as it was." + (error.hint.empty() ? "" : "\n" + error.hint)
                      : fmt::format("Going back failed too: {}\n{}", back.error().message, back.error().hint);
    return error;
}

Result<void> roll_back(Applied& applied, const Hands& hands, const system::System& system) {
    if (applied.over()) return {};
    if (auto unchanged = check_unchanged(applied, hands); !unchanged) return unchanged;
    applied.state = "rolling back";
    Steps steps(applied, hands, system);
    auto done = steps.run("files back", [&]() -> Result<void> {
        for (const FileChange& file : applied.files)
            if (auto put = put_back(file, applied.pid); !put) return put;
        std::error_code error;
        fs::remove(fmt::format("{}.{}.tmp", journal_file(system).string(), applied.pid), error);
        // Only ours and only when empty: remove() of a folder with anything in it fails.
        for (auto folder = applied.folders.rbegin(); folder != applied.folders.rend(); ++folder)
            fs::remove(*folder, error);
        return {};
    });
    if (!done) return done;
    if (applied.restarted) {
        done = steps.run("restart back", [&] { return hands.restart(applied); });
        if (done) done = steps.run("health back", [&] { return hands.wait_healthy(applied); });
        if (!done) return done;
    }
    if (!applied.tag.empty()) {
        done = steps.run("tag back", [&]() -> Result<void> {
            const auto stands = tag_stands(applied, hands);
            if (!stands) return stands.error();
            return *stands ? hands.remove_tag(applied.tag) : Result<void>();
        });
        if (!done) return done;
    }
    applied.state = "rolled back";
    return steps.record(true);
}

}  // namespace velollm::optimize
