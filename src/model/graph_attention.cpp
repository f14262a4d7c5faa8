#include <vector>

#include "model/graph_builder.h"

namespace velollm::model {

Projected GraphBuilder::project(const Block& block, Node input) {
    const std::int64_t q = block.heads * block.key_length;
    const std::int64_t k = block.kv_heads * block.key_length;
    const std::int64_t v = block.kv_heads * block.value_length;
    const Layout q_heads = cube(block.key_length, block.heads, tokens_);
    const Layout k_heads = cube(block.key_length, block.kv_heads, tokens_);
    const Layout v_heads = cube(block.value_length, block.kv_heads, tokens_);
    if (family_->fused_qkv) {
        const Node all = multiply(q + k + v, input);
        const Node biased = shape_.qkv_bias ? on(all) : all;
        return {graph_.view(biased, loose(q_heads)), graph_.view(biased, loose(k_heads)),
                graph_.view(biased, loose(v_heads))};
    }
    const auto one = [&](std::int64_t length) {
        const Node made = multiply(length, input);
        return shape_.qkv_bias ? on(made) : made;
    };
    Projected made{one(is("qwen3next") ? 2 * q : q), one(k), one(v)};
    if (family_->qk_norm == QkNorm::kFull) {
        made.q = norm(made.q);
        made.k = norm(made.k);
    }
    if (is("qwen3next")) {
        gate_ = made.q;
        made.q = graph_.view(made.q, loose(q_heads));
    } else {
        made.q = reshape(made.q, q_heads);
    }
    made.k = reshape(made.k, k_heads);
    made.v = reshape(made.v, v_heads);
    return made;
}

bool GraphBuilder::has_rope(const Block& block) const {
    if (is("smollm3")) return (&block - shape_.blocks.data() + 1) % 4 != 0;
    return !is("cohere2") || block.sliding;
}

Projected GraphBuilder::heads(const Block& block, Node input) {
    Projected made = project(block, input);
    const bool by_head =
        family_->qk_norm == QkNorm::kHead || (family_->qk_norm == QkNorm::kEveryHead && shape_.blocks.size() >= 64);
    if (by_head) made.q = norm(made.q);
    if (by_head && !is("gemma3")) made.k = norm(made.k);
    if (has_rope(block)) made.q = rope(made.q);
    if (by_head && is("gemma3")) made.k = norm(made.k);
    if (has_rope(block)) made.k = rope(made.k);
    if (is("gemma2") || is("gemma3") || is("phi3")) made.q = on(made.q);
    return made;
}

Node GraphBuilder::rotate(Node operand, Node rotation) {
    const Layout before = dense(graph_.layout(operand));
    const std::int64_t size = graph_.layout(rotation).shape[0];
    const Layout turned = rows(size, before.bytes() / before.element_bytes / size);
    const Node flat =
        graph_.layout(operand).contiguous ? reshape(operand, turned) : graph_.operation(turned, {operand});
    return reshape(graph_.operation(turned, {rotation, flat}), before);
}

void GraphBuilder::store(Node value, Node index) {
    const Layout& layout = graph_.layout(value);
    const Layout row = rows(layout.shape[0] * layout.shape[1], tokens_);
    graph_.expand(graph_.view(weight_, row, {graph_.view(value, loose(row)), index}));
}

void GraphBuilder::store_transposed(const CacheInputs& cache, Node value) {
    const Layout layout = graph_.layout(value);
    const Layout row = rows(layout.shape[0] * layout.shape[1], tokens_);
    const Node flat = layout.contiguous ? reshape(value, row) : graph_.operation(row, {value});
    const Node column = reshape(flat, rows(1, row.shape[0] * row.shape[1]));
    graph_.expand(graph_.view(weight_, row, {column, cache.value_index}));
}

Node GraphBuilder::attend(const CacheInputs& cache, Node q, std::int64_t value_length, std::int64_t latent) {
    const std::int64_t count = graph_.layout(q).shape[1];
    const Node permuted = graph_.view(q, loose(graph_.layout(q)));
    Node made = 0;
    if (settings_.flash_attention) {
        made = graph_.operation(cube(value_length, count, tokens_), {permuted, weight_, weight_, cache.mask});
        if (latent > 0) {
            const Node turned = graph_.view(made, loose(graph_.layout(made)));
            const Node grown = graph_.operation(cube(latent, tokens_, count), {weight_, turned});
            const Node back = graph_.view(grown, loose(cube(latent, count, tokens_)));
            made = graph_.operation(cube(latent, count, tokens_), {back});
        }
        made = reshape(made, rows(graph_.layout(made).shape[0] * count, tokens_));
    } else {
        const std::int64_t cells = graph_.layout(cache.mask).shape[0];
        Node scores = graph_.operation(cube(cells, tokens_, count), {weight_, permuted});
        if (is("gemma2"))
            for (int i = 0; i < 3; ++i) scores = on(scores);
        scores = graph_.operation(graph_.layout(scores), {scores, cache.mask}, true);
        // MLA takes its values from the keys, turned over for this; else they lie that way.
        const Node values =
            latent > 0 ? graph_.operation({.shape = {cells, value_length, 1, 1}, .element_bytes = 2}, {weight_})
                       : weight_;
        Node mixed = graph_.operation(cube(value_length, tokens_, count), {values, scores});
        if (latent > 0) mixed = graph_.operation(cube(latent, tokens_, count), {weight_, mixed});
        const std::int64_t length = graph_.layout(mixed).shape[0];
        const Node turned = graph_.view(mixed, loose(cube(length, count, tokens_)));
        made = graph_.operation(rows(length * count, tokens_), {turned});
    }
    graph_.expand(made);
    return made;
}

Node GraphBuilder::attention(const Block& block, Node input) {
    const bool sliding = block.sliding && sliding_;
    const CacheInputs& cache = sliding ? *sliding_ : full_;
    Projected made = heads(block, input);
    if (cache.key_rotation) {
        made.q = rotate(made.q, *cache.key_rotation);
        made.k = rotate(made.k, *cache.key_rotation);
    }
    if (cache.value_rotation) made.v = rotate(made.v, *cache.value_rotation);
    graph_.expand(made.q);
    graph_.expand(shape_.sliding_window > 0 ? made.k : made.v);
    graph_.expand(shape_.sliding_window > 0 ? made.v : made.k);
    store(made.k, cache.key_index);
    if (settings_.flash_attention) {
        store(made.v, cache.value_index);
    } else {
        store_transposed(cache, made.v);
    }
    Node result = attend(cache, made.q, block.value_length, 0);
    if (cache.value_rotation) result = rotate(result, *cache.value_rotation);
    if (is("qwen3next")) {
        const Node gate = graph_.operation(graph_.layout(result), {graph_.view(gate_, loose(graph_.layout(result)))});
        result = add(result, on(gate));
    }
    const Node projected = multiply(shape_.embedding, result);
    return is("gpt-oss") ? on(projected) : projected;
}

Node GraphBuilder::latent_attention(const Block& block, Node input) {
    const std::int64_t rank = shape_.kv_lora_rank;
    const std::int64_t rope_length = shape_.rope_dimensions;
    const std::int64_t plain = shape_.key_length_mla - rope_length;
    Node q = input;
    if (shape_.q_lora_rank > 0) q = norm(multiply(shape_.q_lora_rank, q));
    q = reshape(multiply(block.heads * shape_.key_length_mla, q), cube(shape_.key_length_mla, block.heads, tokens_));
    const Node both = multiply(rank + rope_length, input);
    const Node compressed = graph_.view(both, loose(rows(rank, tokens_)));
    const Node key_rope = rope(graph_.view(both, loose(cube(rope_length, 1, tokens_))));
    const Node normed = norm(compressed);
    const Node q_plain = graph_.view(q, loose(cube(plain, block.heads, tokens_)));
    const Node q_rope = rope(graph_.view(q, loose(cube(rope_length, block.heads, tokens_))));
    const Node turned = graph_.view(q_plain, loose(cube(plain, tokens_, block.heads)));
    const Node absorbed = graph_.operation(cube(rank, tokens_, block.heads), {weight_, turned});
    const Node back = graph_.view(absorbed, loose(cube(rank, block.heads, tokens_)));
    const Node query = graph_.operation(cube(rank + rope_length, block.heads, tokens_), {back, q_rope});
    const Node value = reshape(normed, cube(rank, 1, tokens_));
    const Node key = graph_.operation(cube(rank + rope_length, 1, tokens_), {value, key_rope});
    graph_.expand(query);
    graph_.expand(value);
    graph_.expand(key);
    store(key, full_.key_index);
    return multiply(shape_.embedding, attend(full_, query, rank, shape_.value_length_mla));
}

}  // namespace velollm::model
