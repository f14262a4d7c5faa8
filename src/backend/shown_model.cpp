#include "backend/shown_model.h"

#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "base/json_writer.h"
#include "base/text.h"
#include "gguf/tensor_types.h"
#include "gguf/writer.h"
#include "http/curl_transport.h"
#include "wire/ollama_show.h"
#include "wire/url.h"

namespace velollm::backend {
namespace {

constexpr std::size_t kMaxAnswerBytes = std::size_t{64} << 20U;  // vocabularies of 260k tokens take 15 MiB
constexpr Ns kConnectLimit = std::chrono::seconds(2);
constexpr Ns kAnswerLimit = std::chrono::seconds(20);

Error unusable(const std::string& model, std::string_view why) {
    return {ErrorCode::kFailed, fmt::format("What Ollama says of {} can't be used: {}", base::one_line(model, 80), why),
            "Name the model's GGUF file instead, or a model of the list that 'velollm recommend --all' prints."};
}

bool is_u32(std::int64_t number) {
    return number >= 0 && number <= std::numeric_limits<std::uint32_t>::max();
}

struct ItemValue {
    using Value = decltype(gguf::Item::value);

    Value operator()(std::int64_t value) const {
        // No figure of a model is that large. As a fraction it is refused where it matters.
        if (!is_u32(value)) return static_cast<float>(value);
        return static_cast<std::uint32_t>(value);
    }
    Value operator()(double value) const {
        constexpr double kMost = std::numeric_limits<float>::max();
        return static_cast<float>(std::clamp(value, -kMost, kMost));
    }
    Value operator()(bool value) const { return value; }
    Value operator()(const std::string& value) const { return value; }
    Value operator()(const wire::ShownList& list) const {
        if (list.numbers.size() != list.length || !std::all_of(list.numbers.begin(), list.numbers.end(), is_u32))
            return gguf::Item::Flags(list.length);  // tokens: their number is all that is asked for
        return gguf::Item::Numbers(list.numbers.begin(), list.numbers.end());
    }
};

/// Ollama gives MXFP4 one name. Its own first files have another number for it than llama.cpp's; they say so by the
/// number of the whole file.
std::uint32_t mxfp4_number(const wire::ShownModel& shown) {
    constexpr std::int64_t kFirst = 4;
    const bool found = std::any_of(shown.metadata.begin(), shown.metadata.end(), [](const auto& entry) {
        const auto* number = std::get_if<std::int64_t>(&entry.second);
        return entry.first == "general.file_type" && number != nullptr && *number == kFirst;
    });
    return found ? static_cast<std::uint32_t>(kFirst) : gguf::types::kMXFP4;
}

}  // namespace

Result<gguf::Header> shown_header(std::string_view answer, const std::string& model) {
    const auto shown = wire::read_ollama_show(answer);
    if (!shown) return unusable(model, "it doesn't list metadata and tensors; Ollama may be too old");
    if (shown->tensors.empty()) return unusable(model, "it lists no tensors; the model may lie on another server");
    std::vector<gguf::Item> items;
    for (const auto& [key, value] : shown->metadata) {
        if (key == "general.alignment") continue;  // where tensors lie isn't told, and the writer has its own
        items.push_back({key, std::visit(ItemValue{}, value)});
    }
    std::vector<gguf::Tensor> tensors;
    for (const wire::ShownTensor& one : shown->tensors) {
        auto type = gguf::tensor_type_number(one.type);
        if (!type)
            return unusable(model, fmt::format("tensor \"{}\" has the type \"{}\", which isn't known",
                                               base::one_line(one.name, 80), base::one_line(one.type, 20)));
        if (*type == gguf::types::kMXFP4) type = mxfp4_number(*shown);
        gguf::Tensor tensor{.name = one.name, .type = *type};
        std::copy(one.shape.begin(), one.shape.end(), tensor.shape.begin());
        tensors.push_back(std::move(tensor));
    }
    // Written and read as a file's header, so that it is checked as one.
    const auto bytes = gguf::write_header(items, tensors);
    if (!bytes) return unusable(model, bytes.error().message);
    auto header = gguf::parse_header(bytes->bytes, static_cast<std::uint64_t>(bytes->file_bytes), model);
    if (!header) return unusable(model, "it ends early");
    if (!*header) return unusable(model, header->error().message);
    (*header)->name = base::one_line(model);
    return std::move(**header);
}

Result<std::optional<gguf::Header>> ask_for_header(const std::string& model, const system::System& system,
                                                   Clock& clock) {
    base::JsonWriter json;
    json.begin_object().field("model", model).field("verbose", true).end_object();
    const auto transport = http::make_curl_transport(clock, "");
    const std::function<bool()> never;
    const http::HttpResponse response = http::Caller(*transport, clock, never)(
        {.method = "POST",
         .url = wire::resolve_ollama_host(system.variable("OLLAMA_HOST").value_or("")).text() + "/api/show",
         .body = json.text(),
         .connect_timeout = kConnectLimit,
         .longest_answer = kMaxAnswerBytes},
        kAnswerLimit);
    if (response.too_large) return unusable(model, "it is longer than 64 MiB");
    if (!response.arrived() || response.status != 200) return std::optional<gguf::Header>();
    auto header = shown_header(response.body, model);
    if (!header) return header.error();
    return std::optional(std::move(*header));
}

}  // namespace velollm::backend
