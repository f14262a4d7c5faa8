#include "benchmark/session.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "backend/make_backend.h"
#include "benchmark/result.h"
#include "load/filler.h"
#include "load/schedule.h"
#include "metrics/request.h"
#include "metrics/summarize.h"
#include "model/memory.h"
#include "wire/url.h"

namespace velollm::benchmark {
namespace {

constexpr std::int64_t kWarmUpTokens = 32;
constexpr std::size_t kAlike = 3;  // the last so many warm-up requests must agree
constexpr std::int64_t kMaxWarmUp = 10;
constexpr double kTpotAlike = 1.03;
constexpr double kTtftAlike = 1.10;
/// No warm-up request is begun later: on a slow machine a request takes that long by itself.
constexpr Ns kWarmUpPatience = std::chrono::seconds(60);
constexpr std::size_t kCacheProbeWords = 400;  // long enough for its time to stand out of a request's fixed cost
constexpr double kUsualTokensPerWord = 1.3;    // of English prose
constexpr Ns kNap = std::chrono::milliseconds(10);
constexpr Ns kQuietNap = std::chrono::milliseconds(1);

std::optional<double> tpot(const RequestRecord& r) {
    const auto tokens = metrics::decode_tokens(r);
    const auto time = metrics::decode_time(r);
    if (!tokens || !time) return std::nullopt;
    return to_seconds(*time) / static_cast<double>(*tokens);
}

/// Whether the last requests are alike in TPOT and TTFT; the first one of all, which the load falls into, is not asked.
bool alike(const std::vector<RequestRecord>& warm_up) {
    if (warm_up.size() < kAlike + 1) return false;
    std::vector<double> tpots;
    std::vector<double> ttfts;
    for (std::size_t i = warm_up.size() - kAlike; i < warm_up.size(); ++i) {
        if (warm_up[i].events.empty()) return false;
        if (const auto value = tpot(warm_up[i])) tpots.push_back(*value);
        ttfts.push_back(to_seconds(warm_up[i].events.front().at));
    }
    const auto ratio = [](const std::vector<double>& values) {
        const auto [least, most] = std::minmax_element(values.begin(), values.end());
        return values.empty() || *least <= 0.0 ? 1.0 : *most / *least;
    };
    return ratio(tpots) <= kTpotAlike && ratio(ttfts) <= kTtftAlike;
}

}  // namespace

bool narrow(const std::vector<RequestRecord>& done, double until) {
    if (static_cast<std::int64_t>(done.size()) < kMinRuns) return false;
    const Summary summary = metrics::summarize({.requests = done}, {});
    const Distribution* decode = summary.find("decode_tps");
    return decode != nullptr && decode->interval &&
           (decode->interval->upper - decode->interval->lower) / 2.0 <= until * decode->median;
}

Session::Session(TargetSpec target, system::System system, Hardware hardware, Protocol protocol, Clock& clock,
                 std::function<bool()> stop)
    : target_(std::move(target)),
      system_(std::move(system)),
      hardware_(std::move(hardware)),
      protocol_(protocol),
      clock_(clock),
      stop_(std::move(stop)),
      nonces_(system::random_u64()),
      filler_seed_(system::random_u64()) {}

Result<TargetInfo> Session::connect(const std::string& model) {
    TargetSpec target = target_;
    if (!model.empty()) target.model = model;
    auto backend = backend::make_backend(target, system_, hardware_, clock_, stop_, model::context_bytes);
    if (!backend) return backend.error();
    auto described = (*backend)->describe();
    if (!described) return described.error();
    if (target.raw) described->settings["prompt_template"] = "none";
    if (!target.tokenizer.empty()) {
        const auto file = backend::find_model_file(target.tokenizer, system_);
        if (!file) return file.error();
        auto tokenizer = backend::load_tokenizer(*file);
        if (!tokenizer) return tokenizer.error();
        tokenizer_ = std::move(*tokenizer);
    }
    backend_ = std::move(*backend);
    prepared_ = {.target = *described};
    tokens_per_word_.reset();
    return described;
}

std::vector<std::string> Session::new_nonces(std::int64_t count) {
    std::vector<std::string> nonces;
    for (std::int64_t i = 0; i < count; ++i) nonces.push_back(nonces_.next());
    return nonces;
}

Run Session::run_prompts(const std::string& text, const std::vector<std::string>& nonces, std::int64_t max_tokens,
                         const load::Watch& watch) {
    std::vector<Prompt> prompts;
    for (const std::string& nonce : nonces)
        prompts.push_back({.text = nonce + text, .max_tokens = max_tokens, .seed = target_.seed});
    Run run = run_all(prompts, watch);
    for (RequestRecord& record : run.requests) record.nonce = nonces[record.id].substr(0, nonces[record.id].find('\n'));
    return run;
}

Run Session::run_all(const std::vector<Prompt>& prompts, const load::Watch& watch) {
    load::Watch with_text = watch;
    with_text.keep_text = tokenizer_ != nullptr;
    Run run =
        load::run_load(load::closed_loop(prompts.size(), 1), prompts, *backend_, clock_, target_.timeout, with_text);
    for (RequestRecord& record : run.requests) {
        if (tokenizer_ && !record.server.output_tokens) record.retokenised = tokenizer_->count(record.text);
        record.text = {};
    }
    return run;
}

std::string Session::filled_prompt(const BenchmarkConfig& config) {
    if (config.context_depth <= 0) return config.prompt;
    if (!tokens_per_word_) learn_word_length();
    const double words = static_cast<double>(config.context_depth) / tokens_per_word_.value_or(kUsualTokensPerWord);
    return load::filler_text(static_cast<std::size_t>(std::lround(words)), filler_seed_) + "\n\n" + config.prompt;
}

void Session::learn_word_length() {
    // Two lengths, so that the template and the nonce fall out of the difference.
    constexpr std::size_t kShort = 50;
    constexpr std::size_t kLong = 250;
    std::vector<std::int64_t> tokens;
    for (const std::size_t words : {kShort, kLong}) {
        const Run run = run_prompts(load::filler_text(words, filler_seed_), new_nonces(1), 1, {.stop = stop_});
        if (run.requests.empty() || !run.requests.front().server.prompt_tokens) return;
        tokens.push_back(*run.requests.front().server.prompt_tokens);
    }
    const double per_word = static_cast<double>(tokens[1] - tokens[0]) / static_cast<double>(kLong - kShort);
    if (per_word > 0.0) tokens_per_word_ = per_word;
}

Result<Preparation> Session::prepare(const BenchmarkConfig& first, bool reload) {
    auto loading = load_model(*backend_, prepared_.target.file, reload);
    if (!loading) return loading.error();
    prepared_.loaded = std::move(loading->loaded);
    prepared_.loads = std::move(loading->loads);
    prepared_.resident = loading->resident;
    if (const auto warm = warm_up(first); !warm) return warm.error();
    check_cache(first);
    if (const auto quiet = check_quiet(); !quiet) return quiet.error();
    return prepared_;
}

Result<void> Session::leave() {
    return backend_->unload();
}

Result<Ns> Session::load_anew(const BenchmarkConfig& config) {
    const TimePoint begin = clock_.now();
    lost_.reset();  // a server of ours that went away is started anew
    if (const auto gone = backend_->unload(); !gone) return gone.error();
    auto loaded = backend_->load();
    if (!loaded) return loaded.error();
    prepared_.loaded = std::move(*loaded);
    prepared_.warm_up.clear();
    if (const auto warm = warm_up(config); !warm) return warm.error();
    return clock_.now() - begin;
}

void Session::check_cache(const BenchmarkConfig& config) {
    // Without a warm-up nothing is known of the server, and nothing beyond the measured requests is wanted.
    if (!protocol_.cache_check || prepared_.target.kind != "openai" || prepared_.warm_up.empty()) return;
    if (prepared_.warm_up.back().server.cached_tokens) return;
    const std::string text = load::filler_text(kCacheProbeWords, filler_seed_) + "\n\n" + config.prompt;
    const std::vector<std::string> nonces = new_nonces(2);
    std::vector<RequestRecord> requests;
    for (const std::string& nonce : {nonces[0], nonces[0], nonces[1]}) {
        Run run = run_prompts(text, {nonce}, 1, {.stop = stop_});
        if (run.requests.empty()) return;
        requests.push_back(std::move(run.requests.front()));
    }
    prepared_.cache = cache_check_of(requests);
}

Result<void> Session::warm_up(const BenchmarkConfig& config) {
    const std::int64_t tokens = std::min(config.max_tokens, kWarmUpTokens);
    const std::int64_t most = protocol_.warm_up.value_or(kMaxWarmUp + 1);
    const std::string text = filled_prompt(config);
    const TimePoint begin = clock_.now();
    Error failure{ErrorCode::kFailed, "the warm-up requests brought no token",
                  "Does the model answer by hand? Look at the server's log."};
    bool any = most == 0;
    for (std::int64_t i = 0; i < most; ++i) {
        Run run = run_prompts(text, new_nonces(1), tokens, {.stop = stop_});
        if (run.interrupted || run.requests.front().outcome == Outcome::kCancelled)
            return Error{ErrorCode::kInterrupted, "Stopped while warming up", ""};
        RequestRecord& record = run.requests.front();
        any = any || record.outcome == Outcome::kOk;
        if (!record.error.message.empty()) failure = record.error;
        prepared_.warm_up.push_back(std::move(record));
        if (!any && i > 0) return failure;
        if (protocol_.warm_up) continue;
        if (alike(prepared_.warm_up) || clock_.now() - begin > kWarmUpPatience) break;
    }
    // A number that the user chose is not judged, and fewer than four can't be.
    prepared_.warm_up_steady = protocol_.warm_up || prepared_.warm_up.size() <= kAlike || alike(prepared_.warm_up);
    if (!any) return failure;
    return {};
}

Result<void> Session::check_quiet() {
    if (protocol_.quiet_check <= Ns{0}) return {};
    hardware::HostWatch watch(system_, engine_place(), kQuietNap);
    const TimePoint end = clock_.now() + protocol_.quiet_check;
    while (clock_.now() < end) {
        if (stop_ && stop_()) return Error{ErrorCode::kInterrupted, "Stopped while watching the idle machine", ""};
        system::nap(std::min<Ns>(end - clock_.now(), std::chrono::milliseconds(100)));
    }
    prepared_.quiet = watch.report();
    return {};
}

hardware::EnginePlace Session::engine_place() const {
    const bool embedded = prepared_.target.kind == "embedded";
    std::optional<int> root = prepared_.loaded.process_id;
    if (const auto url = wire::parse_url(prepared_.target.address, 0);
        !embedded && !root && url && wire::is_loopback(*url))
        root = hardware::process_listening_on(system_, url->port);
    return hardware::find_engine(system_, root, embedded);
}

BenchmarkResult Session::measure(const BenchmarkConfig& config,
                                 const std::function<void(const RequestRecord&)>& on_request,
                                 load::LiveCounters* live) {
    const std::string timestamp = system::utc_timestamp(system::unix_now_ms() / 1000);
    load::Watch watch{.stop = [this] { return lost_.has_value() || (stop_ && stop_()); },
                      .on_request_done =
                          [&](const RequestRecord& record) {
                              if (record.error.code == ErrorCode::kUnreachable) lost_ = record.error;
                              if (on_request) on_request(record);
                          },
                      .live = live};
    const std::string text = filled_prompt(config);
    const std::int64_t most = protocol_.until ? kMaxRuns : config.iterations;
    if (protocol_.until)
        watch.enough = [&](const std::vector<RequestRecord>& done) { return narrow(done, *protocol_.until); };
    hardware::HostWatch host(system_, engine_place(), kNap);
    const Ns cpu_before = system::process_cpu_time();
    Run run = run_prompts(text, new_nonces(most), config.max_tokens, watch);
    const Ns cpu = system::process_cpu_time() - cpu_before;
    run.host = host.report();
    run.client.peak_memory_bytes = system::peak_memory_bytes();
    if (prepared_.target.kind != "embedded" && run.wall > Ns{0})
        run.client.cpu_share = to_seconds(cpu) / to_seconds(run.wall);

    BenchmarkResult result = conclude(config, text, timestamp, std::move(run));
    if (protocol_.until) result.config.iterations = static_cast<std::int64_t>(result.run.requests.size());
    return result;
}

BenchmarkResult Session::conclude(const BenchmarkConfig& config, const std::string& prompt, std::string timestamp,
                                  Run run) const {
    const hardware::Power power = hardware::read_power(system_);
    const metrics::RunContext context{
        .prompt = prompt,
        .gpu_share = prepared_.loaded.gpu_share,
        .engine = prepared_.target.display_name,
        .quiet = prepared_.quiet,
        .warm_up_steady = prepared_.warm_up_steady,
        .on_battery = power.on_battery,
        .powersave = power.powersave,
        .cache_not_defeated = prepared_.cache && prepared_.cache->caches() && !prepared_.cache->defeated()};
    Summary summary = metrics::summarize(run, context);
    BenchmarkResult result = make_result(config, std::move(timestamp), std::move(run), std::move(summary));
    result.config.model = prepared_.target.model;
    return result;
}

std::optional<RequestRecord> Session::request(const Prompt& prompt) {
    Run run = run_all({prompt}, {.stop = stop_});
    if (run.requests.empty()) return std::nullopt;
    RequestRecord record = std::move(run.requests.front());
    if (record.error.code == ErrorCode::kUnreachable) lost_ = record.error;
    return record;
}

Run Session::requests(const std::vector<Prompt>& prompts, int in_flight) {
    return load::run_load(load::closed_loop(prompts.size(), in_flight), prompts, *backend_, clock_, target_.timeout,
                          {.stop = stop_});
}

Result<std::string> Session::answer(const Prompt& prompt) {
    Run run = load::run_load(load::closed_loop(1, 1), {prompt}, *backend_, clock_, target_.timeout,
                             {.stop = stop_, .keep_text = true});
    if (run.requests.empty() || run.requests.front().outcome == Outcome::kCancelled)
        return Error{ErrorCode::kInterrupted, "Stopped while asking", ""};
    RequestRecord& record = run.requests.front();
    if (record.outcome == Outcome::kOk) return std::move(record.text);
    if (!record.error.message.empty()) return record.error;
    return Error{ErrorCode::kFailed, "No answer came", "Does the model answer by hand? Look at the server's log."};
}

PathTimes Session::path_times(const BenchmarkConfig& config) {
    return backend_->path_times({.text = nonces_.next() + config.prompt, .max_tokens = 1, .seed = target_.seed});
}

}  // namespace velollm::benchmark
