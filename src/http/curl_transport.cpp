#include "http/curl_transport.h"

#include <curl/curl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/text.h"
#include "http/read_lag.h"
#include "system/socket_stamp.h"

namespace velollm::http {
namespace {

class CurlTransport;

/// The stamp of a read that libcurl hands over in parts, one for each chunk of HTTP.
///
/// All parts lie in one buffer, in order. So a part that is not behind the one before belongs to the next read, and so
/// may one right at the buffer's start, where the head of a chunk is. Each wake-up is a new read in any case.
struct ReadStamp {
    TimePoint at{};
    std::uint64_t wake_up = 0;
    const char* lowest = nullptr;  // of the parts of this exchange: the buffer's start, give or take a chunk's head
    const char* end = nullptr;     // of the part before

    bool is_new_read(const char* part, std::uint64_t this_wake_up) const {
        constexpr std::ptrdiff_t kChunkHead = 24;
        const std::less<const char*> before;
        return wake_up != this_wake_up || lowest == nullptr || before(part, end) || before(part, lowest + kChunkHead);
    }
};

constexpr long kMostConnections = 65'536;

/// Whether the address is a loopback one by its looks. Everybody's http_proxy is meant for the world outside.
bool on_this_machine(std::string_view url) {
    const std::size_t start = url.find("://");
    const std::string_view host = start == std::string_view::npos ? url : url.substr(start + 3);
    return host.starts_with("localhost:") || host.starts_with("127.") || host.starts_with("[::1]");
}

/// An exchange. Its handle is kept for later ones, since making one costs as much as sending a request.
struct Stream {
    StreamId id = 0;
    CurlTransport* owner = nullptr;
    ByteSink* sink = nullptr;
    CURL* easy = nullptr;
    curl_slist* headers = nullptr;
    std::string body;
    std::array<char, CURL_ERROR_SIZE> error{};
    bool status_told = false;
    bool once = false;
    bool fresh = false;
    bool sent = false;
    ReadStamp read;
};

TransportFailure classify(CURLcode code) {
    switch (code) {
        case CURLE_OK: return TransportFailure::kNone;
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY: return TransportFailure::kName;
        case CURLE_COULDNT_CONNECT: return TransportFailure::kRefused;
        case CURLE_OPERATION_TIMEDOUT: return TransportFailure::kConnect;  // only the connect time-out is set
        case CURLE_SSL_CONNECT_ERROR:
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_ISSUER_ERROR: return TransportFailure::kTls;
        case CURLE_UNSUPPORTED_PROTOCOL:
        case CURLE_WEIRD_SERVER_REPLY:
        case CURLE_HTTP2: return TransportFailure::kNotHttp;
        case CURLE_GOT_NOTHING:
        case CURLE_ABORTED_BY_CALLBACK:  // ours, in before_request()
        case CURLE_PARTIAL_FILE:
        case CURLE_SEND_ERROR:
        case CURLE_RECV_ERROR: return TransportFailure::kBroken;
        default: return TransportFailure::kOther;
    }
}

class CurlTransport final : public HttpTransport {
public:
    CurlTransport(Clock& clock, std::string ca_file) : clock_(clock), ca_file_(std::move(ca_file)) {
        static const CURLcode once = curl_global_init(CURL_GLOBAL_DEFAULT);
        (void)once;
        system::allow_many_open_files();
        epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
        multi_ = curl_multi_init();
        curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &CurlTransport::watch_socket);
        curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
        curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &CurlTransport::set_timer);
        curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
        // Else a connection is closed when its stream ends while few others run, and the next request needs a new one.
        curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, kMostConnections);
    }

    ~CurlTransport() override {
        while (!streams_.empty()) release(streams_.begin()->first);
        for (const auto& stream : idle_) curl_easy_cleanup(stream->easy);
        curl_multi_cleanup(multi_);
        ::close(epoll_);
    }

    StreamId start(const HttpRequest& request, ByteSink& sink) override {
        std::unique_ptr<Stream> owned = idle_stream();
        Stream& stream = *owned;
        stream.id = ++last_id_;
        stream.sink = &sink;
        stream.body = request.body;
        stream.once = request.once;
        stream.fresh = request.fresh;
        configure(stream, request);
        streams_.emplace(stream.id, std::move(owned));
        curl_multi_add_handle(multi_, stream.easy);
        return stream.id;
    }

    void cancel(StreamId id) override {
        const auto it = streams_.find(id);
        if (it == streams_.end()) return;
        it->second->sink = nullptr;  // libcurl forbids removal inside its callbacks: the next poll does it
        cancelled_.push_back(id);
    }

    void poll(TimePoint until) override {
        drop_cancelled();
        const auto ready = static_cast<std::size_t>(std::max(wait(timer_ ? std::min(until, *timer_) : until), 0));
        const auto looked_at = ready == 0 ? std::nullopt : lag_.choose(clock_.now(), ready);
        int running = 0;
        for (std::size_t i = 0; i < ready; ++i) {
            const epoll_event& event = events_[i];
            if (looked_at == i && (event.events & EPOLLIN) != 0) lag_.look(event.data.fd);
            ++wake_ups_;
            int action = 0;
            if ((event.events & (EPOLLIN | EPOLLRDHUP)) != 0) action |= CURL_CSELECT_IN;
            if ((event.events & EPOLLOUT) != 0) action |= CURL_CSELECT_OUT;
            if ((event.events & (EPOLLERR | EPOLLHUP)) != 0) action |= CURL_CSELECT_ERR;
            curl_multi_socket_action(multi_, event.data.fd, action, &running);
        }
        if (timer_ && clock_.now() >= *timer_) {
            timer_.reset();
            ++wake_ups_;
            curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
        }
        finish_done();
        drop_cancelled();
    }

    TransportHealth take_health() override { return {.reads = std::exchange(reads_, 0), .lag = lag_.take()}; }

private:
    /// Waits for sockets, with the full resolution of the clock where the kernel can (Linux 5.11).
    int wait(TimePoint until) {
        const Ns left = std::clamp<Ns>(until - clock_.now(), Ns{0}, std::chrono::seconds(60));
        const int most = static_cast<int>(events_.size());
        if (exact_waits_) {
            const auto whole = std::chrono::duration_cast<std::chrono::seconds>(left);
            const timespec time{.tv_sec = whole.count(), .tv_nsec = (left - whole).count()};
            const int ready = ::epoll_pwait2(epoll_, events_.data(), most, &time, nullptr);
            if (ready >= 0 || errno != ENOSYS) return ready;
            exact_waits_ = false;
        }
        // Rounded up: waking a moment early would spin through the rest of the millisecond.
        const auto left_ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
        return ::epoll_wait(epoll_, events_.data(), most, static_cast<int>(left_ms));
    }

    /// A stream with a handle that has all that is the same in every exchange.
    std::unique_ptr<Stream> idle_stream() {
        if (!idle_.empty()) {
            auto stream = std::move(idle_.back());
            idle_.pop_back();
            return stream;
        }
        auto owned = std::make_unique<Stream>();
        Stream& stream = *owned;
        stream.owner = this;
        CURL* easy = stream.easy = curl_easy_init();
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
        curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, stream.error.data());
        curl_easy_setopt(easy, CURLOPT_PRIVATE, &stream);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &CurlTransport::take_bytes);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, &stream);
        curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &CurlTransport::take_header);
        curl_easy_setopt(easy, CURLOPT_HEADERDATA, &stream);
        curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, &CurlTransport::before_request);
        curl_easy_setopt(easy, CURLOPT_PREREQDATA, &stream);
        curl_easy_setopt(easy, CURLOPT_USERAGENT, "velollm");
        if (!ca_file_.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file_.c_str());
        curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, &CurlTransport::made_socket);
        return owned;
    }

    void configure(Stream& stream, const HttpRequest& request) {
        CURL* easy = stream.easy;
        const auto connect_ms = std::chrono::ceil<std::chrono::milliseconds>(request.connect_timeout).count();
        curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(connect_ms));
        // Where none can be kept, libcurl needn't look through all of the open ones for it.
        const bool none_kept = kept_connections_ == 0;
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, request.fresh || none_kept ? 1L : 0L);
        curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, request.fresh ? 1L : 0L);
        curl_easy_setopt(easy, CURLOPT_PROXY, on_this_machine(request.url) ? "" : nullptr);
        for (const std::string& line : request.headers)
            stream.headers = curl_slist_append(stream.headers, line.c_str());
        // A DELETE with a body, as Ollama has it, is a POST by another name. Handles are kept: it is taken back too.
        const bool other = request.method != "GET" && request.method != "POST";
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, other ? request.method.c_str() : nullptr);
        if (request.method != "GET") {
            curl_easy_setopt(easy, CURLOPT_POST, 1L);
            curl_easy_setopt(easy, CURLOPT_POSTFIELDS, stream.body.data());
            curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(stream.body.size()));
            stream.headers = curl_slist_append(stream.headers, "Content-Type: application/json");
            // curl would hold a body of over 1 MiB back until the server says "100 Continue".
            stream.headers = curl_slist_append(stream.headers, "Expect:");
        } else {
            curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
        }
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, stream.headers);
    }

    /// Ends an exchange and keeps its handle.
    void release(StreamId id) {
        const auto it = streams_.find(id);
        if (it == streams_.end()) return;
        std::unique_ptr<Stream> stream = std::move(it->second);
        streams_.erase(it);
        curl_multi_remove_handle(multi_, stream->easy);
        curl_easy_setopt(stream->easy, CURLOPT_HTTPHEADER, nullptr);
        curl_slist_free_all(std::exchange(stream->headers, nullptr));
        stream->body.clear();
        stream->error[0] = '\0';
        stream->status_told = stream->sent = false;
        stream->read = {};
        idle_.push_back(std::move(stream));
    }

    void drop_cancelled() {
        for (const StreamId id : cancelled_) release(id);
        cancelled_.clear();
    }

    void finish_done() {
        int queued = 0;
        while (const CURLMsg* message = curl_multi_info_read(multi_, &queued)) {
            if (message->msg != CURLMSG_DONE) continue;
            const CURLcode code = message->data.result;
            void* data = nullptr;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &data);
            Stream& stream = *static_cast<Stream*>(data);
            const TimePoint now = clock_.now();
            tell_status(stream, now);
            TransportEnd end{classify(code), {}};
            if (code != CURLE_OK)
                end.detail = base::one_line(stream.error[0] != '\0' ? stream.error.data() : curl_easy_strerror(code));
            if (code == CURLE_ABORTED_BY_CALLBACK) end.detail = "the kept connection broke before the answer began";
            if (!stream.fresh) ++kept_connections_;
            ByteSink* sink = stream.sink;
            const StreamId id = stream.id;
            release(id);
            if (sink != nullptr) sink->on_end(id, now, end);
        }
    }

    static void tell_status(Stream& stream, TimePoint now) {
        long status = 0;
        curl_easy_getinfo(stream.easy, CURLINFO_RESPONSE_CODE, &status);
        if (status < 200 || std::exchange(stream.status_told, true) || stream.sink == nullptr) return;
        stream.sink->on_status(stream.id, now, static_cast<int>(status));
    }

    static std::size_t take_bytes(char* data, std::size_t, std::size_t count, void* context) {
        Stream& stream = *static_cast<Stream*>(context);
        CurlTransport& self = *stream.owner;
        ReadStamp& read = stream.read;
        if (read.is_new_read(data, self.wake_ups_)) {
            read.at = self.clock_.now();
            read.wake_up = self.wake_ups_;
            if (read.lowest == nullptr || std::less<const char*>()(data, read.lowest)) read.lowest = data;
            ++self.reads_;
        }
        read.end = data + count;
        if (!stream.status_told) tell_status(stream, read.at);
        if (stream.sink != nullptr) stream.sink->on_bytes(stream.id, read.at, {data, count});
        return count;
    }

    static int made_socket(void*, curl_socket_t socket, curlsocktype) {
        system::note_arrivals(socket);
        return CURL_SOCKOPT_OK;
    }

    static std::size_t take_header(char*, std::size_t, std::size_t count, void* context) {
        Stream& stream = *static_cast<Stream*>(context);
        if (!stream.status_told) tell_status(stream, stream.owner->clock_.now());
        return count;
    }

    /// From the start of the transfer until the connection stood, TLS included; nothing when it stood already.
    static std::optional<Ns> connecting_time(CURL* easy) {
        long connects = 0;
        curl_off_t tcp_us = 0;
        curl_off_t tls_us = 0;
        curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
        if (connects == 0) return std::nullopt;
        curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &tcp_us);
        curl_easy_getinfo(easy, CURLINFO_APPCONNECT_TIME_T, &tls_us);
        return std::chrono::microseconds(std::max(tcp_us, tls_us));
    }

    static int before_request(void* context, char*, char*, int, int) {
        Stream& stream = *static_cast<Stream*>(context);
        // libcurl sends again on a fresh connection when a kept one breaks before the answer. That would hide a
        // failure.
        if (std::exchange(stream.sent, true) && stream.once) return CURL_PREREQFUNC_ABORT;
        const auto connecting = connecting_time(stream.easy);
        std::size_t& kept = stream.owner->kept_connections_;
        if (!connecting && kept > 0) --kept;
        if (stream.sink != nullptr) stream.sink->on_sending(stream.id, stream.owner->clock_.now(), connecting);
        return CURL_PREREQFUNC_OK;
    }

    static int watch_socket(CURL*, curl_socket_t socket, int what, void* context, void* known) {
        auto* self = static_cast<CurlTransport*>(context);
        if (what == CURL_POLL_REMOVE) {
            ::epoll_ctl(self->epoll_, EPOLL_CTL_DEL, socket, nullptr);
            return 0;
        }
        epoll_event event{};
        event.data.fd = socket;
        if ((what & CURL_POLL_IN) != 0) event.events |= EPOLLIN;
        if ((what & CURL_POLL_OUT) != 0) event.events |= EPOLLOUT;
        if (::epoll_ctl(self->epoll_, known != nullptr ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &event) != 0 &&
            errno == EEXIST)
            ::epoll_ctl(self->epoll_, EPOLL_CTL_MOD, socket, &event);
        curl_multi_assign(self->multi_, socket, self);  // any pointer: marks the socket as known
        return 0;
    }

    static int set_timer(CURLM*, long timeout_ms, void* context) {
        auto* self = static_cast<CurlTransport*>(context);
        self->timer_.reset();
        if (timeout_ms >= 0) self->timer_ = self->clock_.now() + std::chrono::milliseconds(timeout_ms);
        return 0;
    }

    Clock& clock_;
    std::string ca_file_;
    int epoll_ = -1;
    CURLM* multi_ = nullptr;
    std::optional<TimePoint> timer_;  // when libcurl wants to be called though no socket is ready
    std::unordered_map<StreamId, std::unique_ptr<Stream>> streams_;
    std::vector<std::unique_ptr<Stream>> idle_;
    std::vector<StreamId> cancelled_;
    std::array<epoll_event, 256> events_{};
    bool exact_waits_ = true;
    std::uint64_t wake_ups_ = 0;
    std::size_t kept_connections_ = 0;  // that may be idle: every one that is comes from an exchange that ended
    std::int64_t reads_ = 0;
    ReadLagSampler lag_{system::time_waiting};
    StreamId last_id_ = 0;
};

}  // namespace

std::unique_ptr<HttpTransport> make_curl_transport(Clock& clock, std::string ca_file) {
    return std::make_unique<CurlTransport>(clock, std::move(ca_file));
}

}  // namespace velollm::http
