#include "http/curl_transport.h"

#include <curl/curl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/text.h"

namespace velollm::http {
namespace {

class CurlTransport;

/// Whether the address is a loopback one by its looks. Everybody's http_proxy is meant for the world outside.
bool on_this_machine(std::string_view url) {
    const std::size_t start = url.find("://");
    const std::string_view host = start == std::string_view::npos ? url : url.substr(start + 3);
    return host.starts_with("localhost:") || host.starts_with("127.") || host.starts_with("[::1]");
}

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
    bool sent = false;
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
        epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
        multi_ = curl_multi_init();
        curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &CurlTransport::watch_socket);
        curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
        curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &CurlTransport::set_timer);
        curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
    }

    ~CurlTransport() override {
        for (auto& [id, stream] : streams_) release(*stream);
        streams_.clear();
        curl_multi_cleanup(multi_);
        ::close(epoll_);
    }

    StreamId start(const HttpRequest& request, ByteSink& sink) override {
        auto owned = std::make_unique<Stream>();
        Stream& stream = *owned;
        stream.id = ++last_id_;
        stream.owner = this;
        stream.sink = &sink;
        stream.body = request.body;
        stream.once = request.once;
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
        TimePoint wake = until;
        if (timer_) wake = std::min(wake, *timer_);
        std::array<epoll_event, 64> events{};
        const int ready = wait(events, wake);
        int running = 0;
        for (int i = 0; i < ready; ++i) {
            const epoll_event& event = events[static_cast<std::size_t>(i)];
            int action = 0;
            if ((event.events & (EPOLLIN | EPOLLRDHUP)) != 0) action |= CURL_CSELECT_IN;
            if ((event.events & EPOLLOUT) != 0) action |= CURL_CSELECT_OUT;
            if ((event.events & (EPOLLERR | EPOLLHUP)) != 0) action |= CURL_CSELECT_ERR;
            curl_multi_socket_action(multi_, event.data.fd, action, &running);
        }
        if (timer_ && clock_.now() >= *timer_) {
            timer_.reset();
            curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
        }
        finish_done();
        drop_cancelled();
    }

private:
    /// Waits for sockets, with the full resolution of the clock where the kernel can (Linux 5.11): a request of a
    /// timetable would be sent up to a millisecond late.
    int wait(std::span<epoll_event> events, TimePoint until) {
        const Ns left = std::clamp<Ns>(until - clock_.now(), Ns{0}, std::chrono::seconds(60));
        const int most = static_cast<int>(events.size());
        if (exact_waits_) {
            const auto whole = std::chrono::duration_cast<std::chrono::seconds>(left);
            const timespec time{.tv_sec = whole.count(), .tv_nsec = (left - whole).count()};
            const int ready = ::epoll_pwait2(epoll_, events.data(), most, &time, nullptr);
            if (ready >= 0 || errno != ENOSYS) return ready;
            exact_waits_ = false;
        }
        // Rounded up: waking a moment early would spin through the rest of the millisecond.
        const auto left_ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
        return ::epoll_wait(epoll_, events.data(), most, static_cast<int>(left_ms));
    }

    void configure(Stream& stream, const HttpRequest& request) {
        CURL* easy = stream.easy = curl_easy_init();
        const auto connect_ms = std::chrono::ceil<std::chrono::milliseconds>(request.connect_timeout).count();
        curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(connect_ms));
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
        if (request.fresh) {
            curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
            curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
        }
        if (on_this_machine(request.url)) curl_easy_setopt(easy, CURLOPT_PROXY, "");
        for (const std::string& line : request.headers)
            stream.headers = curl_slist_append(stream.headers, line.c_str());
        if (request.method == "POST") {
            curl_easy_setopt(easy, CURLOPT_POST, 1L);
            curl_easy_setopt(easy, CURLOPT_POSTFIELDS, stream.body.data());
            curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(stream.body.size()));
            stream.headers = curl_slist_append(stream.headers, "Content-Type: application/json");
            // curl would hold a body of over 1 MiB back until the server says "100 Continue".
            stream.headers = curl_slist_append(stream.headers, "Expect:");
        }
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, stream.headers);
    }

    void release(Stream& stream) {
        curl_multi_remove_handle(multi_, stream.easy);
        curl_easy_cleanup(stream.easy);
        curl_slist_free_all(stream.headers);
    }

    void drop_cancelled() {
        for (const StreamId id : cancelled_) {
            const auto it = streams_.find(id);
            if (it == streams_.end()) continue;
            release(*it->second);
            streams_.erase(it);
        }
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
            ByteSink* sink = stream.sink;
            const StreamId id = stream.id;
            release(stream);
            streams_.erase(id);
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
        const TimePoint now = stream.owner->clock_.now();
        tell_status(stream, now);
        if (stream.sink != nullptr) stream.sink->on_bytes(stream.id, now, {data, count});
        return count;
    }

    static std::size_t take_header(char*, std::size_t, std::size_t count, void* context) {
        Stream& stream = *static_cast<Stream*>(context);
        tell_status(stream, stream.owner->clock_.now());
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
        if (stream.sink != nullptr)
            stream.sink->on_sending(stream.id, stream.owner->clock_.now(), connecting_time(stream.easy));
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
    bool exact_waits_ = true;
    CURLM* multi_ = nullptr;
    std::optional<TimePoint> timer_;  // when libcurl wants to be called though no socket is ready
    std::map<StreamId, std::unique_ptr<Stream>> streams_;
    std::vector<StreamId> cancelled_;
    StreamId last_id_ = 0;
};

}  // namespace

std::unique_ptr<HttpTransport> make_curl_transport(Clock& clock, std::string ca_file) {
    return std::make_unique<CurlTransport>(clock, std::move(ca_file));
}

}  // namespace velollm::http
