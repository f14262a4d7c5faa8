#include "gguf/gguf.h"

#include <algorithm>

#include "base/text.h"
#include "fuzz.h"
#include "model/memory.h"
#include "model/shape.h"

namespace {

using velollm::Result;
using velollm::fuzz::require;
using velollm::gguf::Header;

void check_header(const Header& header, std::int64_t file_bytes) {
    require(!header.architecture.empty(), "a model has an architecture");
    require(header.parameters >= 0 && header.tensors >= 0, "counts aren't negative");
    require(header.data_offset <= header.required_bytes, "the data follow the header");
    require(header.required_bytes <= file_bytes, "a file that is too short is refused");
    require(header.tensor_bytes <= header.required_bytes - header.data_offset || header.tensors == 0,
            "the tensors fit between the header and the end");
    require(static_cast<std::int64_t>(header.tensor_list.size()) == header.tensors, "every tensor is in the list");
    std::int64_t bytes = 0;
    for (const auto& tensor : header.tensor_list) {
        require(tensor.name.size() <= velollm::gguf::kMaxTensorName, "a name is short");
        require(tensor.offset >= 0 && tensor.offset + tensor.bytes <= header.required_bytes - header.data_offset,
                "a tensor lies in the file");
        require(velollm::gguf::data_bytes(tensor) == tensor.bytes, "a tensor has the bytes of its shape");
        bytes += tensor.bytes;
    }
    require(bytes == header.tensor_bytes, "the list adds up to the total");
    require(header.hyperparameters.heads.size() <= velollm::gguf::kMaxBlocks, "figures by block are few");
}

/// Whatever a header says, its model takes some amount of memory or is refused.
void check_memory(const Header& header) {
    const auto shape = velollm::model::shape_of(header);
    if (!shape) return require(!shape.error().hint.empty(), "a refusal says what to do");
    velollm::model::MemoryQuestion question;
    question.settings.context_tokens = 1 << 20U;
    question.gpu_layers = 3;
    const auto estimate = velollm::model::memory_by_formula(*shape, question);
    for (const auto& use : {estimate.host, estimate.gpu})
        require(use.weights_bytes >= 0 && use.cache_bytes >= 0 && use.state_bytes >= 0 && use.compute_bytes >= 0,
                "no term overflows");
}

void check_error(const velollm::Error& error) {
    require(!error.message.empty() && !error.hint.empty(), "an error says what and what to do");
    require(
        std::none_of(error.message.begin(), error.message.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }),
        "a message is one line without control characters");
}

std::string outcome(const Result<Header>& result) {
    return result ? result->architecture + std::to_string(result->parameters) : result.error().message;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view file = velollm::fuzz::as_text(data, size);
    const auto whole = velollm::gguf::parse_header(file, size, "f.gguf");
    require(whole.has_value(), "a whole file is enough");
    if (*whole) {
        check_header(**whole, static_cast<std::int64_t>(size));
        check_memory(**whole);
    } else {
        check_error(whole->error());
    }
    // Any beginning of the file either asks for more or is enough for the same answer.
    const std::size_t cut = static_cast<std::size_t>(velollm::base::fnv1a(file)) % (size + 1);
    const auto part = velollm::gguf::parse_header(file.substr(0, cut), size, "f.gguf");
    require(!part || outcome(*part) == outcome(*whole), "a beginning gives the answer of the whole, or none");
    return 0;
}
