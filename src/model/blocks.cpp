#include "model/blocks.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>
#include <string_view>

namespace velollm::model {
namespace {

/// The smallest period that the kinds of blocks repeat with, those that lead in front left aside; the number of blocks
/// where they don't.
std::int64_t repeats_after(const ModelShape& shape) {
    const auto kind = [&](std::size_t i) {
        const Block& block = shape.blocks[i];
        return (block.sliding ? 1 : 0) + (block.recurrent ? 2 : 0) + (block.experts ? 4 : 0) +
               (block.has_cache ? 8 : 0);
    };
    const auto lead = static_cast<std::size_t>(std::max<std::int64_t>(shape.leading_dense_blocks, 0));
    for (std::size_t period = 1; period < shape.blocks.size(); ++period) {
        bool repeats = true;
        for (std::size_t i = lead; i + period < shape.blocks.size() && repeats; ++i)
            repeats = kind(i) == kind(i + period);
        if (repeats) return static_cast<std::int64_t>(period);
    }
    return static_cast<std::int64_t>(shape.blocks.size());
}

}  // namespace

std::int64_t block_period(const ModelShape& shape) {
    // llama.cpp takes a model of 26 or 27 blocks for one without this rank, and wants it of all others (deepseek2.cpp).
    if (shape.architecture == "deepseek2" && shape.q_lora_rank == 0)
        return static_cast<std::int64_t>(shape.blocks.size());
    return std::max<std::int64_t>(repeats_after(shape), 1);
}

std::vector<std::size_t> spread_blocks(const ModelShape& shape, std::int64_t count) {
    const auto period = static_cast<std::size_t>(block_period(shape));
    const std::size_t turns = shape.blocks.size() / period;
    const std::size_t wanted = std::max<std::size_t>((static_cast<std::size_t>(count) + period - 1) / period, 1);
    std::vector<std::size_t> blocks;
    if (wanted >= turns) {
        blocks.resize(shape.blocks.size());
        std::iota(blocks.begin(), blocks.end(), std::size_t{0});
        return blocks;
    }
    for (std::size_t j = 0; j < wanted; ++j) {
        const std::size_t turn = (2 * j + 1) * turns / (2 * wanted);
        for (std::size_t i = 0; i < period; ++i) blocks.push_back(turn * period + i);
    }
    return blocks;
}

ModelShape with_blocks(const ModelShape& shape, const std::vector<std::size_t>& blocks) {
    ModelShape part = shape;
    part.blocks.clear();
    part.tensors.clear();
    for (const std::size_t block : blocks) part.blocks.push_back(shape.blocks[block]);
    part.leading_dense_blocks = std::count_if(blocks.begin(), blocks.end(), [&](std::size_t block) {
        return static_cast<std::int64_t>(block) < shape.leading_dense_blocks;
    });
    for (const gguf::Tensor& tensor : shape.tensors) {
        const auto number = block_of(tensor);
        if (!number) {
            part.tensors.push_back(tensor);
            continue;
        }
        const auto place = std::find(blocks.begin(), blocks.end(), *number);
        if (place == blocks.end()) continue;
        part.tensors.push_back(tensor);
        constexpr std::string_view kPrefix = "blk.";
        const std::string rest = tensor.name.substr(tensor.name.find('.', kPrefix.size()));
        part.tensors.back().name = fmt::format("{}{}{}", kPrefix, place - blocks.begin(), rest);
    }
    return part;
}

}  // namespace velollm::model
