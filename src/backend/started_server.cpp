#include "backend/started_server.h"

#include <utility>

namespace velollm::backend {
namespace {

constexpr Ns kHealthPause = std::chrono::milliseconds(10);

class OwnServer final : public Backend {
public:
    explicit OwnServer(ServerKind kind) : kind_(std::move(kind)) {}

    Result<TargetInfo> describe() override {
        if (!info_) {
            if (const auto running = run(); !running) return running.error();
        }
        return *info_;
    }

    Result<LoadedModel> load() override {
        if (const auto running = run(); !running) return running.error();
        auto loaded = server_->inner->load();
        if (!loaded) return loaded;
        loaded->process_id = server_->process.pid();
        kind_.complete(*server_, std::exchange(first_, false), *loaded);
        return loaded;
    }

    Result<void> unload() override {
        server_.reset();
        return {};
    }

    void start(RequestId id, const Prompt& prompt, TokenSink& sink) override {
        server_->process.output(kind_.kept_log_bytes);  // its log must not grow for as long as we measure
        server_->inner->start(id, prompt, sink);
    }
    void cancel(RequestId id) override { server_->inner->cancel(id); }
    void poll(TimePoint until) override { server_->inner->poll(until); }
    PathTimes path_times(const Prompt& prompt) override { return server_->inner->path_times(prompt); }
    std::optional<ReadHealth> take_read_health() override { return server_->inner->take_read_health(); }

private:
    Result<void> run() {
        if (server_) return {};
        auto started = kind_.start();
        if (!started) return started.error();
        info_ = started->info;
        server_.emplace(std::move(*started));
        first_ = true;
        return {};
    }

    ServerKind kind_;
    std::optional<StartedServer> server_;
    std::optional<TargetInfo> info_;
    bool first_ = false;  // started, and no load() has told of it yet
};

}  // namespace

Result<void> wait_until_ready(const Waiting& waiting, const Target& target, system::Process& process,
                              http::HttpTransport& transport, const ServerTools& tools, std::size_t log_bytes) {
    const http::Caller ask(transport, tools.clock, tools.stop);
    const TimePoint deadline = tools.clock.now() + waiting.patience;
    while (tools.clock.now() < deadline) {
        if (tools.stop && tools.stop()) return Error{ErrorCode::kInterrupted, waiting.while_stopped, ""};
        if (const auto end = process.ended()) return waiting.ended(*end, process.output(log_bytes));
        if (ask(get(target, waiting.path), kShortAnswer).status == 200) return {};
        ask.wait(kHealthPause);
    }
    return waiting.late(process.output(log_bytes));
}

std::unique_ptr<Backend> make_started_server(ServerKind kind) {
    return std::make_unique<OwnServer>(std::move(kind));
}

}  // namespace velollm::backend
