#include "backend/chat_template.h"

#include <llama.h>

namespace velollm::backend {

std::string in_chat_template(const llama_model& model, const std::string& words) {
    const char* pattern = llama_model_chat_template(&model, nullptr);
    const llama_chat_message message{"user", words.c_str()};
    std::string text(words.size() * 2 + 1024, '\0');
    const auto apply = [&] {
        return llama_chat_apply_template(pattern, &message, 1, true, text.data(), static_cast<int>(text.size()));
    };
    if (pattern == nullptr) return words;
    int length = apply();
    if (length > static_cast<int>(text.size())) {
        text.resize(static_cast<std::size_t>(length));
        length = apply();
    }
    if (length < 0) return words;
    text.resize(static_cast<std::size_t>(length));
    return text;
}

}  // namespace velollm::backend
