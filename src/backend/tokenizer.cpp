#include "backend/tokenizer.h"

#include <fmt/core.h>
#include <llama.h>

#include <vector>

#include "backend/llama_library.h"

namespace velollm::backend {
namespace {

class VocabularyOfModel final : public Tokenizer {
public:
    explicit VocabularyOfModel(std::unique_ptr<llama_model, FreeModel> model) : model_(std::move(model)) {}

    std::optional<std::int64_t> count(std::string_view text) const override {
        const llama_vocab* vocab = llama_model_get_vocab(model_.get());
        std::vector<llama_token> tokens(text.size() + 8);
        const int count = llama_tokenize(vocab, text.data(), static_cast<int>(text.size()), tokens.data(),
                                         static_cast<int>(tokens.size()), false, false);
        return count > 0 ? std::optional<std::int64_t>(count) : std::nullopt;
    }

private:
    std::unique_ptr<llama_model, FreeModel> model_;
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> load_tokenizer(const std::filesystem::path& gguf) {
    start_llama_once();
    llama_errors().clear();
    llama_model_params params = llama_model_default_params();
    params.vocab_only = true;
    std::unique_ptr<llama_model, FreeModel> model(llama_model_load_from_file(gguf.c_str(), params));
    if (!model)
        return Error{ErrorCode::kFailed,
                     fmt::format("llama.cpp can't read the vocabulary of {}: {}", gguf.string(), llama_errors()),
                     "Name a GGUF file of the model's family with --tokenizer."};
    return std::unique_ptr<Tokenizer>(std::make_unique<VocabularyOfModel>(std::move(model)));
}

}  // namespace velollm::backend
