#include "wire/ollama_show.h"

#include <simdjson.h>

namespace velollm::wire {
namespace {

namespace dom = simdjson::dom;

ShownList read_list(const dom::array& array) {
    ShownList list;
    bool numbers = true;
    for (const dom::element element : array) {
        ++list.length;
        std::int64_t number = 0;
        bool flag = false;
        if (element.get(flag) == simdjson::SUCCESS) {
            number = flag ? 1 : 0;
        } else if (element.get(number) != simdjson::SUCCESS) {
            numbers = false;
        }
        numbers = numbers && list.length <= kMaxShownNumbers;
        if (numbers) list.numbers.push_back(number);
    }
    if (!numbers) list.numbers.clear();
    return list;
}

/// Nothing for an object, which no metadata is.
std::optional<ShownValue> read_value(const dom::element& element) {
    std::int64_t integer = 0;
    double number = 0;
    bool flag = false;
    std::string_view text;
    dom::array array;
    if (element.get(integer) == simdjson::SUCCESS) return integer;
    if (element.get(number) == simdjson::SUCCESS) return number;
    if (element.get(flag) == simdjson::SUCCESS) return flag;
    if (element.get(text) == simdjson::SUCCESS) return std::string(text);
    if (element.get(array) == simdjson::SUCCESS) return read_list(array);
    return std::nullopt;
}

std::optional<ShownTensor> read_tensor(const dom::element& element) {
    constexpr std::size_t kMaxDimensions = 4;
    ShownTensor tensor;
    std::string_view name;
    std::string_view type;
    dom::array shape;
    if (element["name"].get(name) != simdjson::SUCCESS || element["type"].get(type) != simdjson::SUCCESS ||
        element["shape"].get(shape) != simdjson::SUCCESS)
        return std::nullopt;
    for (const dom::element size : shape) {
        std::int64_t elements = 0;
        if (tensor.shape.size() == kMaxDimensions || size.get(elements) != simdjson::SUCCESS || elements < 0)
            return std::nullopt;
        tensor.shape.push_back(elements);
    }
    tensor.name = name;
    tensor.type = type;
    return tensor;
}

}  // namespace

std::optional<ShownModel> read_ollama_show(std::string_view json) {
    dom::parser parser;
    dom::element root;
    dom::object metadata;
    dom::array tensors;
    if (json.empty() || parser.parse(json.data(), json.size(), true).get(root) != simdjson::SUCCESS ||
        root["model_info"].get(metadata) != simdjson::SUCCESS || root["tensors"].get(tensors) != simdjson::SUCCESS)
        return std::nullopt;
    ShownModel model;
    for (const dom::key_value_pair field : metadata) {
        if (field.value.is_null()) continue;
        auto value = read_value(field.value);
        if (!value || model.metadata.size() == kMaxShownEntries) return std::nullopt;
        model.metadata.emplace_back(field.key, std::move(*value));
    }
    for (const dom::element element : tensors) {
        auto tensor = read_tensor(element);
        if (!tensor || model.tensors.size() == kMaxShownEntries) return std::nullopt;
        model.tensors.push_back(std::move(*tensor));
    }
    return model;
}

}  // namespace velollm::wire
