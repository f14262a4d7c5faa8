#pragma once

#include <memory>
#include <string>

#include "http/transport.h"

namespace velollm::http {

/// The real transport: libcurl's multi interface on epoll. HTTP/1.1, connections kept open and reused, proxies and
/// certificates as curl finds them in the environment, no redirects followed, no compression (it would delay tokens).
///
/// `ca_file`: certificates to trust instead of the system's; empty for those. A server on this machine is never asked
/// for through a proxy.
std::unique_ptr<HttpTransport> make_curl_transport(Clock& clock, std::string ca_file);

}  // namespace velollm::http
