#include "optimize/service.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "base/json_writer.h"
#include "base/text.h"
#include "http/curl_transport.h"
#include "system/process.h"
#include "wire/json_reader.h"

namespace velollm::optimize {
namespace {

constexpr Ns kShowLimit = std::chrono::seconds(5);
constexpr Ns kRestartLimit = std::chrono::seconds(120);
constexpr Ns kGrace = std::chrono::seconds(2);
constexpr Ns kStepOfWait = std::chrono::milliseconds(200);
constexpr Ns kAnswerLimit = std::chrono::seconds(300);
constexpr std::size_t kOutputBytes = 4096;

/// What `systemctl` prints; an error where it isn't there or fails.
Result<std::string> systemctl(std::vector<std::string> words, bool user, const system::System& system, Clock& clock,
                              Ns limit) {
    const auto program = system::find_program(system, "systemctl");
    if (!program) return Error{ErrorCode::kFailed, "There is no systemctl", "Restart the server by hand."};
    words.insert(words.begin(), program->string());
    if (user) words.insert(words.begin() + 1, "--user");
    const std::string text = fmt::format("systemctl {}", fmt::join(words.begin() + 1, words.end(), " "));
    auto process = system::Process::start({words, system.env}, system);
    if (!process) return process.error();
    const auto end = process->wait(clock.now() + limit);
    const std::string output = process->output(kOutputBytes);
    if (end && end->signal == 0 && end->exit_code == 0) return output;
    if (!end) process->stop(kGrace);
    return Error{
        ErrorCode::kFailed,
        fmt::format("`{}` {}: {}", text, end ? "ended " + end->text() : "took too long", base::one_line(output, 200)),
        "A unit of the system needs root: sudo -E velollm ..."};
}

/// "MainPID=123" -> "123".
std::string property(std::string_view text, std::string_view name) {
    for (const std::string_view line : base::split(text, '\n'))
        if (line.starts_with(name) && line.substr(name.size()).starts_with('='))
            return std::string(base::trim(line.substr(name.size() + 1)));
    return "";
}

Result<std::string> ask(const std::string& method, const std::string& url, const std::string& body,
                        const system::System& system, Clock& clock) {
    const auto transport = http::make_curl_transport(clock, system.variable("SSL_CERT_FILE").value_or(""));
    const std::function<bool()> never;
    http::HttpRequest request;
    request.method = method;
    request.url = url;
    request.body = body;
    const http::HttpResponse response = http::Caller(*transport, clock, never)(request, kAnswerLimit);
    if (response.arrived() && response.status == 200) return response.body;
    return Error{ErrorCode::kFailed,
                 fmt::format("{} {} failed: {}", method, url,
                             response.arrived() ? base::one_line(response.body, 200) : response.end.detail),
                 "Is the server up?  velollm optimize --status"};
}

std::string with_tag(const std::string& name) {
    const std::size_t colon = name.rfind(':');
    const bool tagged = colon != std::string::npos && name.find('/', colon) == std::string::npos;
    return tagged ? name : name + ":latest";
}

}  // namespace

Service find_service(const Observed& observed, const system::System& system, Clock& clock) {
    if (!observed.answering || observed.container) return {};
    const std::string unit = !observed.unit.empty()        ? observed.unit
                             : observed.engine == "ollama" ? "ollama.service"
                                                           : "llama-server.service";
    // It goes into a path: a unit's name has nothing of the kind, and a cgroup could.
    if (unit.find('/') != std::string::npos || !unit.ends_with(".service")) return {};
    for (const bool user : {false, true}) {
        const auto shown = systemctl({"show", unit, "--property=LoadState,MainPID"}, user, system, clock, kShowLimit);
        if (!shown || property(*shown, "LoadState") != "loaded") continue;
        const auto pid = base::parse_int(property(*shown, "MainPID"));
        const bool same = observed.server ? pid == observed.server->pid : pid.value_or(0) > 0;
        if (same) return {unit, user};
    }
    return {};
}

Result<void> restart_service(const Applied& applied, const system::System& system, Clock& clock) {
    for (const std::vector<std::string>& words : {std::vector<std::string>{"daemon-reload"}, {"restart", applied.unit}})
        if (const auto done = systemctl(words, applied.user_unit, system, clock, kRestartLimit); !done)
            return done.error();
    return {};
}

Result<void> wait_for_answer(const Target& target, const system::System& system, Clock& clock, Ns limit) {
    const TimePoint deadline = clock.now() + limit;
    while (true) {
        const Observed seen = observe(target, system, clock);
        if (seen.answering) return {};
        if (clock.now() > deadline)
            return Error{ErrorCode::kUnreachable,
                         fmt::format("The server at {} didn't answer within {} s", seen.url,
                                     std::chrono::duration_cast<std::chrono::seconds>(limit).count()),
                         "Its log tells more."};
        system::nap(kStepOfWait);
    }
}

Result<std::string> tag_digest(const std::string& url, const std::string& tag, const system::System& system,
                               Clock& clock) {
    const auto body = ask("GET", url + "/api/tags", "", system, clock);
    if (!body) return body.error();
    wire::JsonReader json;
    if (!json.parse(*body)) return Error{ErrorCode::kFailed, url + "/api/tags answers with no JSON", "Is it Ollama?"};
    for (std::size_t i = 0; i < json.size("/models").value_or(0); ++i)
        if (json.text(fmt::format("/models/{}/name", i)) == with_tag(tag))
            return std::string(json.text(fmt::format("/models/{}/digest", i)).value_or("unknown"));
    return std::string();
}

Result<void> create_tag(const std::string& url, const std::string& tag, const std::string& from,
                        const std::vector<std::pair<std::string, std::string>>& parameters,
                        const system::System& system, Clock& clock) {
    base::JsonWriter json;
    json.begin_object().field("model", tag).field("from", from).field("stream", false);
    json.key("parameters").begin_object();
    for (const auto& [name, value] : parameters) {
        json.key(name);
        if (const auto number = base::parse_int(value))
            json.value(*number);
        else if (value == "true" || value == "false")
            json.value(value == "true");
        else
            json.value(value);
    }
    json.end_object().end_object();
    const auto body = ask("POST", url + "/api/create", json.text(), system, clock);
    return body ? Result<void>() : body.error();
}

Result<void> load_model(const std::string& url, const std::string& model, const system::System& system, Clock& clock) {
    base::JsonWriter json;
    json.begin_object().field("model", model).field("stream", false).end_object();
    const auto body = ask("POST", url + "/api/generate", json.text(), system, clock);
    return body ? Result<void>() : body.error();
}

Result<void> delete_tag(const std::string& url, const std::string& tag, const system::System& system, Clock& clock) {
    base::JsonWriter json;
    json.begin_object().field("model", tag).end_object();
    const auto body = ask("DELETE", url + "/api/delete", json.text(), system, clock);
    return body ? Result<void>() : body.error();
}

}  // namespace velollm::optimize
