#include "cli/interrupt.h"

#include <csignal>
#include <initializer_list>

namespace velollm::cli {
namespace {

volatile std::sig_atomic_t asked = 0;

extern "C" void take_signal(int number) {
    if (asked != 0) {
        std::signal(number, SIG_DFL);
        std::raise(number);
    }
    asked = 1;
}

}  // namespace

void install_signal_handlers() {
    struct sigaction action {};
    action.sa_handler = take_signal;
    sigemptyset(&action.sa_mask);
    action.sa_flags = 0;  // no SA_RESTART: the signal has to end the wait for the network
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
        struct sigaction before {};
        sigaction(number, nullptr, &before);
        if (before.sa_handler != SIG_IGN) sigaction(number, &action, nullptr);  // nohup wants hang-ups ignored
    }
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
}

bool interrupted() {
    return asked != 0;
}

}  // namespace velollm::cli
