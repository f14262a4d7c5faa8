#pragma once

#include <string>

struct llama_model;

namespace velollm::backend {

/// Makes llama.cpp ready, the first time that it is called. Its messages go nowhere but into llama_errors().
void start_llama_once();

/// What llama.cpp complained of since this was last cleared.
std::string& llama_errors();

struct FreeModel {
    void operator()(llama_model* model) const;
};

}  // namespace velollm::backend
