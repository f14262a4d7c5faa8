#include "system/socket_stamp.h"

#include <linux/net_tstamp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>

namespace velollm::system {

bool note_arrivals(int socket) {
    const int flags = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
    return ::setsockopt(socket, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags) == 0;
}

std::optional<Ns> time_waiting(int socket) {
    std::array<char, 1> byte{};
    alignas(cmsghdr) std::array<char, 256> control{};
    iovec piece{byte.data(), byte.size()};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (::recvmsg(socket, &message, MSG_PEEK | MSG_DONTWAIT) <= 0) return std::nullopt;
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SO_TIMESTAMPING) continue;
        timespec arrived{};  // the first of three is the one taken in software
        std::memcpy(&arrived, CMSG_DATA(part), sizeof arrived);
        if (arrived.tv_sec == 0) return std::nullopt;
        const Ns waited = std::chrono::seconds(now.tv_sec - arrived.tv_sec) + Ns(now.tv_nsec - arrived.tv_nsec);
        return std::max(waited, Ns{0});
    }
    return std::nullopt;
}

void allow_many_open_files() {
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= files.rlim_max) return;
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
}

}  // namespace velollm::system
