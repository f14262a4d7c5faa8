#pragma once

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

/// What the libraries that play a vendor's have in common: an environment variable says which scene is played.
namespace velollm::fake {

inline bool plays(const char* variable, std::string_view name) {
    const char* const chosen = std::getenv(variable);
    return chosen != nullptr && name == chosen;
}

[[noreturn]] inline void hang() {
    for (;;) ::pause();
}

inline void crash() {
    volatile int* nowhere = nullptr;
    *nowhere = 1;
}

inline void say_something() {
    std::puts("{\"gpu\": \"from the library\"}");
    std::fputs("from the library\n", stderr);
    std::fflush(nullptr);
}

/// A text without an end, and no UTF-8.
inline void put_endless(char* into, std::size_t length) {
    std::memset(into, 0xfe, length);
}

}  // namespace velollm::fake
