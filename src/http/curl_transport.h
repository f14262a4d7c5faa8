#pragma once

#include <memory>

#include "http/transport.h"

namespace velollm::http {

/// The real transport: libcurl's multi interface on epoll. HTTP/1.1, connections kept open and reused, proxies and
/// certificates as curl finds them in the environment, no redirects followed, no compression (it would delay tokens).
std::unique_ptr<HttpTransport> make_curl_transport(Clock& clock);

}  // namespace velollm::http
