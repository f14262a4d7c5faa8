#include "model/quantise.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>

#include "base/text.h"
#include "gguf/tensor_types.h"

namespace velollm::model {
namespace {

using namespace std::string_view_literals;

enum class Mix { kQ4_0, kQ8_0, kF16, kBF16, kMXFP4, kQ2_K, kQ3_K_M, kQ4_K_S, kQ4_K_M, kQ5_K_M, kQ6_K, kIQ4_XS };

struct MixRow {
    std::string_view name;
    Mix mix;
    std::uint32_t type;  ///< of a tensor that no rule singles out
};

constexpr std::array kMixes{
    MixRow{"Q2_K", Mix::kQ2_K, gguf::types::kQ2_K},     MixRow{"Q3_K_M", Mix::kQ3_K_M, gguf::types::kQ3_K},
    MixRow{"Q4_0", Mix::kQ4_0, gguf::types::kQ4_0},     MixRow{"IQ4_XS", Mix::kIQ4_XS, gguf::types::kIQ4_XS},
    MixRow{"Q4_K_S", Mix::kQ4_K_S, gguf::types::kQ4_K}, MixRow{"Q4_K_M", Mix::kQ4_K_M, gguf::types::kQ4_K},
    MixRow{"Q5_K_M", Mix::kQ5_K_M, gguf::types::kQ5_K}, MixRow{"Q6_K", Mix::kQ6_K, gguf::types::kQ6_K},
    MixRow{"Q8_0", Mix::kQ8_0, gguf::types::kQ8_0},     MixRow{"F16", Mix::kF16, gguf::types::kF16},
    MixRow{"BF16", Mix::kBF16, gguf::types::kBF16},     MixRow{"MXFP4", Mix::kMXFP4, gguf::types::kMXFP4},
};

enum class Category { kEmbedding, kQ, kK, kV, kQkv, kKvB, kOutput, kUp, kGate, kDown, kHead, kOther };

Category category_of(std::string_view name) {
    const auto has = [&](std::string_view part) { return name.find(part) != std::string_view::npos; };
    if (name == "output.weight") return Category::kHead;
    if (name == "token_embd.weight" || name == "per_layer_token_embd.weight") return Category::kEmbedding;
    if (has("attn_qkv.weight")) return Category::kQkv;
    if (has("attn_kv_b.weight")) return Category::kKvB;
    if (has("attn_v.weight")) return Category::kV;
    if (has("attn_k.weight")) return Category::kK;
    if (has("attn_q.weight")) return Category::kQ;
    if (has("attn_output.weight")) return Category::kOutput;
    if (has("ffn_up")) return Category::kUp;
    if (has("ffn_gate")) return Category::kGate;
    if (has("ffn_down")) return Category::kDown;
    return Category::kOther;
}

bool is_values(Category category) {
    return category == Category::kV || category == Category::kQkv || category == Category::kKvB;
}

bool allows_quantisation(const gguf::Tensor& tensor) {
    constexpr std::array kKept{"_norm.weight"sv,
                               "ffn_gate_inp.weight"sv,
                               "altup"sv,
                               "laurel"sv,
                               "per_layer_model_proj"sv,
                               "ssm_conv1d"sv,
                               "shortconv.conv.weight"sv,
                               "indexer.k_proj.weight"sv,
                               "indexer.q_proj.weight"sv};
    if (gguf::dimension_count(tensor) < 2 || !tensor.name.ends_with("weight")) return false;
    return std::none_of(kKept.begin(), kKept.end(),
                        [&](std::string_view part) { return tensor.name.find(part) != std::string::npos; });
}

/// The first and last eighth of the blocks, and every third between them.
bool use_more_bits(std::int64_t block, std::int64_t blocks) {
    return block < blocks / 8 || block >= 7 * blocks / 8 || (block - blocks / 8) % 3 == 2;
}

/// Chooses types one tensor after the other.
class Chooser {
public:
    Chooser(const ModelShape& shape, const MixRow& row) : shape_(shape), row_(row) {
        const Block& first = shape.blocks.front();
        grouped_ = first.kv_heads == 0 ? 0 : first.heads / first.kv_heads;
        blocks_ = static_cast<std::int64_t>(shape.blocks.size());
        falcon_ = shape.architecture == "falcon";
        // 80 blocks of the llama and qwen2 architectures are "the 70B model" to the quantiser.
        seventy_ = blocks_ == 80 &&
                   ((shape.architecture == "llama" && first.heads != first.kv_heads) || shape.architecture == "qwen2");
    }

    void count(const gguf::Tensor& tensor) {
        const Category category = category_of(tensor.name);
        if (is_values(category)) ++values_;
        if (category == Category::kHead) tied_ = false;
    }

    std::uint32_t choose(const gguf::Tensor& tensor) {
        if (!gguf::tensor_type(row_.type) || gguf::tensor_type(row_.type)->block == 1) return row_.type;
        return fitting(preferred(tensor), tensor.shape.front());
    }

private:
    std::uint32_t preferred(const gguf::Tensor& tensor) {
        const Category category = category_of(tensor.name);
        if (category == Category::kHead || (tied_ && category == Category::kEmbedding)) return head(tensor);
        if (row_.mix == Mix::kMXFP4) return tensor.shape[2] > 1 ? gguf::types::kMXFP4 : gguf::types::kQ8_0;
        if (category == Category::kEmbedding) return row_.type;
        if (is_values(category)) return values(next_value_++);
        if (category == Category::kK) return shape_.experts == 8 ? gguf::types::kQ8_0 : row_.type;
        if (category == Category::kDown) return down(block_of(tensor, next_down_++));
        if (category == Category::kOutput) return output();
        return row_.type;
    }

    std::uint32_t head(const gguf::Tensor& tensor) const {
        const std::int64_t block = gguf::tensor_type(row_.type)->block;
        if (row_.mix == Mix::kMXFP4 || row_.mix == Mix::kQ8_0 || falcon_ || tensor.shape.front() % block != 0)
            return gguf::types::kQ8_0;
        return gguf::types::kQ6_K;
    }

    std::uint32_t values(std::int64_t index) const {
        if (shape_.experts == 8) return gguf::types::kQ8_0;
        std::uint32_t type = row_.type;
        if (row_.mix == Mix::kQ2_K) type = grouped_ >= 4 ? gguf::types::kQ4_K : gguf::types::kQ3_K;
        if (row_.mix == Mix::kQ3_K_M) type = index < 2 ? gguf::types::kQ5_K : gguf::types::kQ4_K;
        if (row_.mix == Mix::kIQ4_XS && grouped_ >= 4) type = gguf::types::kQ5_K;
        if ((row_.mix == Mix::kQ4_K_M || row_.mix == Mix::kQ5_K_M) && use_more_bits(index, values_))
            type = gguf::types::kQ6_K;
        if (row_.mix == Mix::kQ4_K_S && index < 4) type = gguf::types::kQ5_K;
        return seventy_ && (type == gguf::types::kQ3_K || type == gguf::types::kQ4_K) ? gguf::types::kQ5_K : type;
    }

    std::uint32_t down(std::int64_t block) const {
        switch (row_.mix) {
            case Mix::kQ2_K: return gguf::types::kQ3_K;
            case Mix::kQ3_K_M:
                if (block < blocks_ / 16) return gguf::types::kQ5_K;
                return !falcon_ || use_more_bits(block, blocks_) ? gguf::types::kQ4_K : gguf::types::kQ3_K;
            case Mix::kQ4_K_M:
                if (falcon_ && block >= blocks_ / 16)
                    return use_more_bits(block, blocks_) ? gguf::types::kQ5_K : gguf::types::kQ4_K;
                return falcon_ || use_more_bits(block, blocks_) ? gguf::types::kQ6_K : gguf::types::kQ4_K;
            case Mix::kIQ4_XS: return block < blocks_ / 8 ? gguf::types::kQ5_K : gguf::types::kIQ4_XS;
            case Mix::kQ5_K_M: return use_more_bits(block, blocks_) ? gguf::types::kQ6_K : gguf::types::kQ5_K;
            case Mix::kQ4_K_S: return !falcon_ && block < blocks_ / 8 ? gguf::types::kQ5_K : gguf::types::kQ4_K;
            default: return row_.type;
        }
    }

    std::uint32_t output() const {
        if (falcon_) return row_.type;
        if (shape_.experts == 8) {
            const bool more = row_.mix == Mix::kQ2_K || row_.mix == Mix::kQ3_K_M || row_.mix == Mix::kQ4_K_S ||
                              row_.mix == Mix::kQ4_K_M || row_.mix == Mix::kIQ4_XS;
            return more ? gguf::types::kQ5_K : row_.type;
        }
        if (row_.mix == Mix::kQ2_K) return gguf::types::kQ3_K;
        if (row_.mix == Mix::kQ3_K_M) return gguf::types::kQ4_K;
        return row_.type;
    }

    /// With experts the quantiser takes the block from the name; else it is the tensor's place among its kind.
    std::int64_t block_of(const gguf::Tensor& tensor, std::int64_t index) const {
        if (shape_.experts > 1) {
            constexpr std::string_view kPrefix = "blk.";
            const char* begin = tensor.name.data() + kPrefix.size();
            std::from_chars(begin, tensor.name.data() + tensor.name.size(), index);
        }
        return index;
    }

    /// A type for the same rows where those aren't a multiple of the block.
    static std::uint32_t fitting(std::uint32_t type, std::int64_t row) {
        const auto fits = [&](std::uint32_t number) { return row % gguf::tensor_type(number)->block == 0; };
        if (fits(type)) return type;
        std::uint32_t smaller = type;
        switch (type) {
            case gguf::types::kIQ4_XS: smaller = gguf::types::kIQ4_NL; break;
            case gguf::types::kQ2_K:
            case gguf::types::kQ3_K: smaller = gguf::types::kQ4_0; break;
            case gguf::types::kQ4_K: smaller = gguf::types::kQ5_0; break;
            case gguf::types::kQ5_K: smaller = gguf::types::kQ5_1; break;
            case gguf::types::kQ6_K: smaller = gguf::types::kQ8_0; break;
            default: break;
        }
        return fits(smaller) ? smaller : gguf::types::kF16;
    }

    const ModelShape& shape_;
    const MixRow& row_;
    std::int64_t grouped_ = 0;
    std::int64_t blocks_ = 0;
    std::int64_t values_ = 0;
    std::int64_t next_value_ = 0;
    std::int64_t next_down_ = 0;
    bool falcon_ = false;
    bool seventy_ = false;
    bool tied_ = true;
};

const MixRow* row_of(std::string_view name) {
    const auto wanted = gguf::file_type_number(name);
    for (const MixRow& row : kMixes)
        if (wanted && gguf::file_type_number(row.name) == wanted) return &row;
    return nullptr;
}

}  // namespace

const std::vector<std::string_view>& known_mixes() {
    static const std::vector<std::string_view> names = [] {
        std::vector<std::string_view> list;
        for (const MixRow& row : kMixes) list.push_back(row.name);
        return list;
    }();
    return names;
}

Result<std::vector<gguf::Tensor>> quantise(const ModelShape& shape, std::vector<gguf::Tensor> tensors,
                                           std::string_view mix) {
    const MixRow* row = row_of(mix);
    if (row == nullptr || shape.blocks.empty())
        return Error{ErrorCode::kUsage, fmt::format("Unknown quantisation: {}", base::one_line(mix, 40)),
                     fmt::format("Known are {}", fmt::join(known_mixes(), ", "))};
    Chooser chooser(shape, *row);
    for (const gguf::Tensor& tensor : tensors)
        if (allows_quantisation(tensor)) chooser.count(tensor);
    for (gguf::Tensor& tensor : tensors) {
        if (!allows_quantisation(tensor)) continue;
        tensor.type = chooser.choose(tensor);
        tensor.bytes = gguf::data_bytes(tensor).value_or(0);
    }
    return tensors;
}

}  // namespace velollm::model
