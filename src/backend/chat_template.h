#pragma once

#include <string>

struct llama_model;

namespace velollm::backend {

/// Stands for a user's words where only the text around them is wanted.
inline constexpr const char* kTemplateMark = "VELOLLM-MARK";

/// A user's words inside the model's chat template; the bare words where llama.cpp doesn't know the template.
std::string in_chat_template(const llama_model& model, const std::string& words);

}  // namespace velollm::backend
