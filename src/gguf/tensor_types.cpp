#include "gguf/tensor_types.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>

namespace velollm::gguf {
namespace {

// Index = number in the file. No block: given up.
constexpr std::array<TensorType, kTensorTypeCount> kTensorTypes{{
    {"F32", 1, 4},      {"F16", 1, 2},        {"Q4_0", 32, 18},     {"Q4_1", 32, 20},     {"MXFP4", 32, 17},
    {"Q4_3", 0, 0},     {"Q5_0", 32, 22},     {"Q5_1", 32, 24},     {"Q8_0", 32, 34},     {"Q8_1", 32, 36},
    {"Q2_K", 256, 84},  {"Q3_K", 256, 110},   {"Q4_K", 256, 144},   {"Q5_K", 256, 176},   {"Q6_K", 256, 210},
    {"Q8_K", 256, 292}, {"IQ2_XXS", 256, 66}, {"IQ2_XS", 256, 74},  {"IQ3_XXS", 256, 98}, {"IQ1_S", 256, 50},
    {"IQ4_NL", 32, 18}, {"IQ3_S", 256, 110},  {"IQ2_S", 256, 82},   {"IQ4_XS", 256, 136}, {"I8", 1, 1},
    {"I16", 1, 2},      {"I32", 1, 4},        {"I64", 1, 8},        {"F64", 1, 8},        {"IQ1_M", 256, 56},
    {"BF16", 1, 2},     {"Q4_0_4_4", 0, 0},   {"Q4_0_4_8", 0, 0},   {"Q4_0_8_8", 0, 0},   {"TQ1_0", 256, 54},
    {"TQ2_0", 256, 66}, {"IQ4_NL_4_4", 0, 0}, {"IQ4_NL_4_8", 0, 0}, {"IQ4_NL_8_8", 0, 0}, {"MXFP4", 32, 17},
    {"NVFP4", 64, 36},  {"Q1_0", 128, 18},    {"Q2_0", 64, 18},
}};

// Index = value of general.file_type (enum llama_ftype). Empty: never used in a GGUF, or given up.
constexpr std::array<std::string_view, 42> kFileTypes{
    "F32",    "F16",     "Q4_0",   "Q4_1",   "MXFP4",  "",       "",       "Q8_0",  "Q5_0",    "Q5_1",   "Q2_K",
    "Q3_K_S", "Q3_K_M",  "Q3_K_L", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K",  "IQ2_XXS", "IQ2_XS", "Q2_K_S",
    "IQ3_XS", "IQ3_XXS", "IQ1_S",  "IQ4_NL", "IQ3_S",  "IQ3_M",  "IQ2_S",  "IQ2_M", "IQ4_XS",  "IQ1_M",  "BF16",
    "",       "",        "",       "TQ1_0",  "TQ2_0",  "MXFP4",  "NVFP4",  "Q1_0",  "Q2_0",
};

/// `known` is in upper case.
bool same_name(std::string_view name, std::string_view known) {
    return std::equal(name.begin(), name.end(), known.begin(), known.end(),
                      [](char a, char b) { return std::toupper(static_cast<unsigned char>(a)) == b; });
}

}  // namespace

const TensorType* tensor_type(std::uint32_t number) {
    if (number >= kTensorTypes.size() || kTensorTypes[number].block == 0) return nullptr;
    return &kTensorTypes[number];
}

std::optional<std::uint32_t> tensor_type_number(std::string_view name) {
    for (std::size_t i = kTensorTypes.size(); i-- > 0;)
        if (kTensorTypes.at(i).block != 0 && same_name(name, kTensorTypes.at(i).name))
            return static_cast<std::uint32_t>(i);
    return std::nullopt;
}

std::string_view removed_tensor_type(std::uint32_t number) {
    if (number >= kTensorTypes.size() || kTensorTypes[number].block != 0) return {};
    return kTensorTypes[number].name;
}

std::string_view file_type_name(std::int64_t number) {
    if (number < 0 || number >= static_cast<std::int64_t>(kFileTypes.size())) return {};
    return kFileTypes[static_cast<std::size_t>(number)];
}

std::optional<std::int64_t> file_type_number(std::string_view name) {
    for (std::size_t i = kFileTypes.size(); i-- > 0 && !name.empty();)
        if (same_name(name, kFileTypes.at(i))) return static_cast<std::int64_t>(i);
    return std::nullopt;
}

}  // namespace velollm::gguf
