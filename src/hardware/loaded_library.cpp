#include "hardware/loaded_library.h"

#include <dlfcn.h>

#include <cstring>

namespace velollm::hardware {

void* LoadedLibrary::symbol_of(const char* name) const {
    return ::dlsym(handle_, name);
}

std::string_view bounded_text(const char* text, std::size_t size) {
    return {text, ::strnlen(text, size)};
}

std::string ask_library(const std::vector<std::string>& files, void (*write)(base::JsonWriter&, const LoadedLibrary&)) {
    base::JsonWriter json;
    json.begin_object();
    void* handle = nullptr;
    std::string why;
    for (const std::string& file : files) {
        handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (handle != nullptr) break;
        const char* const error = ::dlerror();
        const std::string_view text = error == nullptr ? "no reason given" : error;
        // A file that is there and can't be loaded says more than one that isn't.
        if (why.empty() || (why.find("No such file") != std::string::npos && text.find("No such file") == text.npos))
            why = text;
    }
    if (handle == nullptr) {
        json.field("load_error", why);
    } else {
        write(json, LoadedLibrary(handle));
    }
    json.end_object();
    return json.text();
}

}  // namespace velollm::hardware
