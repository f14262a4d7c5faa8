#include "backend/noise.h"

#include <fmt/core.h>
#include <llama.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "base/split_mix.h"

namespace velollm::backend {
namespace {

/// Of the standard normal distribution (Box and Muller 1958).
double normal(base::SplitMix& random) {
    const double radius = std::sqrt(-2 * std::log(1 - random.uniform()));
    return radius * std::cos(2 * std::numbers::pi * random.uniform());
}

}  // namespace

Result<std::string> noise_rows(std::uint32_t type, std::int64_t row_length, std::int64_t rows, std::uint64_t seed) {
    const auto kind = static_cast<ggml_type>(type);
    if (type >= GGML_TYPE_COUNT || ggml_blck_size(kind) == 0 || row_length % ggml_blck_size(kind) != 0 ||
        ggml_quantize_requires_imatrix(kind))
        return Error{ErrorCode::kFailed,
                     fmt::format("Noise can't be written in the type {} with rows of {}", type, row_length),
                     "Choose another quantisation, e.g. --quantization Q4_K_M."};
    base::SplitMix random(seed);
    const double deviation = 1 / std::sqrt(static_cast<double>(row_length));
    std::vector<float> values(static_cast<std::size_t>(row_length * rows));
    for (float& value : values) value = static_cast<float>(deviation * normal(random));
    std::string bytes(ggml_row_size(kind, row_length) * static_cast<std::size_t>(rows), '\0');
    ggml_quantize_chunk(kind, values.data(), bytes.data(), 0, rows, row_length, nullptr);
    return bytes;
}

}  // namespace velollm::backend
