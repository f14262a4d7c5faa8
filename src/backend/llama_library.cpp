#include "backend/llama_library.h"

#include <llama.h>

#include "base/text.h"

namespace velollm::backend {
namespace {

void take_log(ggml_log_level level, const char* text, void*) {
    constexpr std::size_t kEnough = 400;
    if (level != GGML_LOG_LEVEL_ERROR || base::trim(text).empty() || llama_errors().size() > kEnough) return;
    llama_errors() += (llama_errors().empty() ? "" : "; ") + base::one_line(text);
}

}  // namespace

/// llama.cpp explains a failure in its log only, the reason first and then that it failed. One process has one log.
std::string& llama_errors() {
    static std::string text;
    return text;
}

void start_llama_once() {
    static const bool started = [] {
        llama_log_set(take_log, nullptr);
        ggml_backend_load_all();
        llama_backend_init();
        return true;
    }();
    (void)started;
}

void FreeModel::operator()(llama_model* model) const {
    llama_model_free(model);
}

}  // namespace velollm::backend
