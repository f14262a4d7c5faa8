#include "model/compute.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "gguf/tensor_types.h"
#include "model/cells.h"
#include "model/families.h"
#include "model/graph.h"

namespace velollm::model {
namespace {

constexpr std::int64_t kIndexBytes = 8;
constexpr std::int64_t kHalfBytes = 2;

/// What all blocks of one graph share.
struct Inputs {
    Node positions = 0;
    Node out_ids = 0;
    std::optional<Node> attention_scale;  ///< llama4
};

/// The inputs of a cache.
struct CacheInputs {
    Node key_index = 0;
    Node value_index = 0;
    Node mask = 0;
    std::optional<Node> key_rotation;
    std::optional<Node> value_rotation;
};

struct Projected {
    Node q = 0;
    Node k = 0;
    Node v = 0;
};

bool is_quantised(std::uint32_t type) {
    const gguf::TensorType* known = gguf::tensor_type(type);
    return known != nullptr && known->block > 1;
}

class Builder {
public:
    Builder(const ModelShape& shape, const backend::MemorySettings& settings)
        : shape_(shape),
          settings_(settings),
          cells_(cells_of(shape, settings)),
          tokens_(cells_.ubatch),
          name_(shape.architecture) {
        static constexpr Family kPlain{};
        family_ = family_of(shape.architecture);
        if (family_ == nullptr) family_ = &kPlain;
    }

    std::int64_t run() {
        make_inputs();
        Node stream = embed();
        const bool cuts_late = is("gpt-oss") || is("qwen3next");
        for (std::size_t i = 0; i < shape_.blocks.size(); ++i)
            stream = block(shape_.blocks[i], stream, !cuts_late && i + 1 == shape_.blocks.size());
        finish(stream, cuts_late);
        return graph_.buffer_bytes();
    }

private:
    bool is(std::string_view architecture) const { return name_ == architecture; }

    // ---- Operations ----

    static Layout rows(std::int64_t length, std::int64_t count) { return {.shape = {length, count, 1, 1}}; }
    static Layout cube(std::int64_t a, std::int64_t b, std::int64_t c) { return {.shape = {a, b, c, 1}}; }
    static Layout loose(Layout layout) {
        layout.contiguous = false;
        return layout;
    }
    std::int64_t tokens_of(Node node) const { return graph_.layout(node).shape[1]; }

    Node multiply(std::int64_t length, Node operand) {
        return graph_.operation(rows(length, tokens_of(operand)), {weight_, operand});
    }
    /// An operation on a tensor and weights, in its place where possible: bias, scale, rope.
    Node on(Node operand) { return graph_.operation(dense(graph_.layout(operand)), {operand, weight_}, true); }
    static Layout dense(Layout layout) {
        layout.contiguous = true;
        return layout;
    }
    Node add(Node a, Node b) { return graph_.operation(dense(graph_.layout(a)), {a, b}, true); }
    Node norm(Node operand) {
        const Node normed =
            graph_.operation(dense(graph_.layout(operand)), {operand}, /*in_place=*/!family_->layer_norm);
        const Node scaled = on(normed);
        return family_->norm_biases ? on(scaled) : scaled;
    }
    Node rope(Node operand) {
        return graph_.operation(dense(graph_.layout(operand)), {operand, inputs_.positions, weight_}, true);
    }
    Node pick(Node operand) {
        return graph_.operation(rows(graph_.layout(operand).shape[0], cells_.outputs), {operand, inputs_.out_ids});
    }
    Node reshape(Node operand, const Layout& layout) { return graph_.view(operand, layout); }

    // ---- Inputs ----

    CacheInputs cache_inputs(const Block& block, std::int64_t cells) {
        CacheInputs made;
        const bool flash = settings_.flash_attention;
        std::int64_t widest = 0;
        for (const Block& other : shape_.blocks) widest = std::max(widest, other.kv_heads * other.value_length);
        made.key_index = graph_.input({.shape = {tokens_, 1, 1, 1}, .element_bytes = kIndexBytes});
        made.value_index =
            graph_.input({.shape = {flash ? tokens_ : tokens_ * widest, 1, 1, 1}, .element_bytes = kIndexBytes});
        made.mask = graph_.input(
            {.shape = {cells, tokens_ / cells_.streams, 1, cells_.streams}, .element_bytes = flash ? kHalfBytes : 4});
        if (shape_.kv_lora_rank > 0) return made;
        // A quantised cache holds keys and values turned by a Hadamard matrix.
        if (is_quantised(settings_.key_type) && block.key_length % 64 == 0) {
            std::int64_t size = 128;
            while (block.key_length % size == 0) size *= 2;
            made.key_rotation = graph_.input(rows(size / 2, size / 2));
        }
        if (is_quantised(settings_.value_type) && block.value_length % 64 == 0)
            made.value_rotation = graph_.input(rows(64, 64));
        return made;
    }

    void make_inputs() {
        weight_ = graph_.constant();
        inputs_.positions = graph_.input({.shape = {tokens_, 1, 1, 1}});
        inputs_.out_ids = graph_.input({.shape = {cells_.outputs, 1, 1, 1}});
        if (is("llama4")) inputs_.attention_scale = graph_.input(cube(1, 1, tokens_));
        const auto attends = std::find_if(shape_.blocks.begin(), shape_.blocks.end(),
                                          [](const Block& block) { return !block.recurrent; });
        if (attends == shape_.blocks.end()) return;
        full_ = cache_inputs(*attends, cells_.full);
        if (shape_.sliding_window > 0) sliding_ = cache_inputs(*attends, cells_.sliding);
    }

    Node embed() {
        const Node tokens = graph_.input({.shape = {tokens_, 1, 1, 1}});
        const Node looked_up = graph_.operation(rows(shape_.embedding, tokens_), {weight_, tokens});
        graph_.expand(looked_up);
        // For embeddings given instead of tokens: reserved all the same.
        graph_.expand(graph_.input(rows(shape_.embedding, tokens_)));
        if (!is("granite") && !is("granitemoe") && !is("gemma2") && !is("gemma3")) return looked_up;
        return on(looked_up);
    }

    // ---- Attention ----

    Projected project(const Block& block, Node input) {
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

    bool has_rope(const Block& block) const { return !is("cohere2") || block.sliding; }

    Projected heads(const Block& block, Node input) {
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

    Node rotate(Node operand, Node rotation) {
        const Layout before = dense(graph_.layout(operand));
        const std::int64_t size = graph_.layout(rotation).shape[0];
        const Layout turned = rows(size, before.bytes() / before.element_bytes / size);
        const Node flat =
            graph_.layout(operand).contiguous ? reshape(operand, turned) : graph_.operation(turned, {operand});
        return reshape(graph_.operation(turned, {rotation, flat}), before);
    }

    void store(const CacheInputs& cache, Node value, Node index) {
        const Layout& layout = graph_.layout(value);
        const Layout row = rows(layout.shape[0] * layout.shape[1], tokens_);
        (void)cache;
        graph_.expand(graph_.view(weight_, row, {graph_.view(value, loose(row)), index}));
    }

    void store_transposed(const CacheInputs& cache, Node value) {
        const Layout layout = graph_.layout(value);
        const Layout row = rows(layout.shape[0] * layout.shape[1], tokens_);
        const Node flat = layout.contiguous ? reshape(value, row) : graph_.operation(row, {value});
        const Node column = reshape(flat, rows(1, row.shape[0] * row.shape[1]));
        graph_.expand(graph_.view(weight_, row, {column, cache.value_index}));
    }

    /// Queries against the cache. `value_length`: of a head of the result; `latent`: the width that MLA makes of it.
    Node attend(const CacheInputs& cache, Node q, std::int64_t value_length, std::int64_t latent) {
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
            Node mixed = graph_.operation(cube(value_length, tokens_, count), {weight_, scores});
            if (latent > 0) mixed = graph_.operation(cube(latent, tokens_, count), {weight_, mixed});
            const std::int64_t length = graph_.layout(mixed).shape[0];
            const Node turned = graph_.view(mixed, loose(cube(length, count, tokens_)));
            made = graph_.operation(rows(length * count, tokens_), {turned});
        }
        graph_.expand(made);
        return made;
    }

    Node attention(const Block& block, Node input) {
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
        store(cache, made.k, cache.key_index);
        if (settings_.flash_attention) {
            store(cache, made.v, cache.value_index);
        } else {
            store_transposed(cache, made.v);
        }
        Node result = attend(cache, made.q, block.value_length, 0);
        if (cache.value_rotation) result = rotate(result, *cache.value_rotation);
        if (is("qwen3next")) {
            const Node gate =
                graph_.operation(graph_.layout(result), {graph_.view(gate_, loose(graph_.layout(result)))});
            result = add(result, on(gate));
        }
        const Node projected = multiply(shape_.embedding, result);
        return is("gpt-oss") ? on(projected) : projected;
    }

    Node latent_attention(const Block& block, Node input) {
        const std::int64_t rank = shape_.kv_lora_rank;
        const std::int64_t rope_length = shape_.rope_dimensions;
        const std::int64_t plain = shape_.key_length_mla - rope_length;
        Node q = input;
        if (shape_.q_lora_rank > 0) q = norm(multiply(shape_.q_lora_rank, q));
        q = reshape(multiply(block.heads * shape_.key_length_mla, q),
                    cube(shape_.key_length_mla, block.heads, tokens_));
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
        store(full_, key, full_.key_index);
        return multiply(shape_.embedding, attend(full_, query, rank, shape_.value_length_mla));
    }

    // ---- The rest of a block ----

    Node dense_part(std::int64_t width, Node input) {
        const std::int64_t count = tokens_of(input);
        if (family_->fused_gate_up) {
            const Node both = multiply(2 * width, input);
            return multiply(shape_.embedding, graph_.operation(rows(width, count), {both}));
        }
        const Node up = multiply(width, input);
        if (!family_->gate) return multiply(shape_.embedding, on(up));
        const Node gate = multiply(width, input);
        return multiply(shape_.embedding, graph_.operation(rows(width, count), {gate, up}));
    }

    Node routed_part(Node input) {
        const std::int64_t count = tokens_of(input);
        const std::int64_t used = shape_.experts_used;
        const std::int64_t width = shape_.expert_feed_forward;
        const bool biased = is("gpt-oss");
        Node logits = multiply(shape_.experts, input);
        if (biased) logits = on(logits);
        const Node probabilities = biased ? logits : on(logits);
        const Node ranked = shape_.expert_biases ? on(probabilities) : is("llama4") ? logits : probabilities;
        const Node sorted = graph_.operation(rows(shape_.experts, count), {ranked});
        const Node selected = graph_.view(sorted, loose(rows(used, count)));
        Node weights =
            graph_.operation(cube(1, used, count), {reshape(probabilities, cube(1, shape_.experts, count)), selected});
        const bool summed = is("llama") || is("qwen3moe") || is("qwen3next") || is("granitemoe") || biased;
        if (summed) {
            const Node flat = reshape(weights, rows(used, count));
            const Node sum = biased ? weight_ : on(graph_.operation(rows(1, count), {flat}));
            weights = reshape(graph_.operation(rows(used, count), {flat, sum}, true), cube(1, used, count));
        }
        graph_.expand(weights);
        Node each = reshape(input, cube(shape_.embedding, 1, count));
        if (is("llama4")) {
            const Node repeated = graph_.operation(cube(shape_.embedding, used, count), {each});
            each = add(repeated, weights);
        }
        const auto expert = [&](std::int64_t length, Node operand) {
            const Node made = graph_.operation(cube(length, used, count), {weight_, operand, selected});
            return biased ? graph_.operation(cube(length, used, count), {made, weight_, selected}, true) : made;
        };
        const Node up = expert(width, each);
        const Node gate = expert(width, each);
        Node outcome = expert(shape_.embedding, graph_.operation(cube(width, used, count), {gate, up}));
        if (!is("llama4")) outcome = add(outcome, weights);
        graph_.expand(outcome);
        std::vector<Node> parts;
        for (std::int64_t i = 0; i < used; ++i) {
            parts.push_back(graph_.view(outcome, loose(rows(shape_.embedding, count))));
            graph_.expand(parts.back());
        }
        Node sum = parts.front();
        for (std::size_t i = 1; i < parts.size(); ++i) {
            sum = add(sum, parts[i]);
            graph_.expand(sum);
        }
        return used == 1 ? graph_.operation(rows(shape_.embedding, count), {sum}) : sum;
    }

    Node feed_forward(const Block& block, Node input) {
        if (!block.experts) return dense_part(block.feed_forward, input);
        const bool shared_first = is("llama4");
        std::optional<Node> shared;
        if (shared_first) shared = dense_part(shape_.shared_feed_forward, input);
        const Node routed = routed_part(input);
        if (shape_.shared_feed_forward == 0) return routed;
        if (!shared) shared = dense_part(shape_.shared_feed_forward, input);
        if (is("qwen3next")) {
            const Node gate = on(graph_.operation(rows(1, tokens_of(input)), {weight_, input}));
            shared = add(*shared, gate);
        }
        return add(routed, *shared);
    }

    Node block(const Block& block, Node stream, bool last) {
        Node residual = stream;
        const Node normed = family_->attention_norm ? norm(stream) : stream;
        // Blocks without a norm of their own in front of the feed-forward part compute it beside attention.
        const bool parallel = is("falcon") || is("command-r") || is("cohere2");
        Node beside = normed;
        Node made = shape_.kv_lora_rank > 0 ? latent_attention(block, normed) : attention(block, normed);
        if (last) {
            made = pick(made);
            residual = pick(residual);
            if (parallel) beside = pick(beside);
        }
        if (parallel) {
            const Node out = dense_part(block.feed_forward, beside);
            return is("falcon") ? add(add(out, made), residual) : add(add(out, residual), made);
        }
        if (family_->scaled) made = on(made);
        const bool norm_before_sum = family_->post_attention_norm && family_->post_feed_forward_norm;
        if (norm_before_sum) made = norm(made);
        const Node sum = add(made, residual);
        const bool normed_input = family_->feed_forward_norm || (family_->post_attention_norm && !norm_before_sum);
        Node out = feed_forward(block, normed_input ? norm(sum) : sum);
        if (family_->post_feed_forward_norm) out = norm(out);
        if (family_->scaled) out = on(out);
        return is("phi3") ? add(sum, out) : add(out, sum);
    }

    void finish(Node stream, bool cuts_late) {
        if (is("qwen3next")) stream = norm(stream);
        if (cuts_late) {
            graph_.keep(stream);
            stream = pick(stream);
        }
        if (!is("qwen3next")) stream = norm(stream);
        graph_.keep(stream);
        Node logits = multiply(shape_.vocabulary, stream);
        if (family_->scaled) logits = on(logits);
        if (is("gemma2"))
            for (int i = 0; i < 3; ++i) logits = on(logits);
        graph_.keep(logits);
        graph_.expand(logits);
    }

    const ModelShape& shape_;
    const backend::MemorySettings& settings_;
    Cells cells_;
    std::int64_t tokens_;
    std::string_view name_;
    const Family* family_ = nullptr;
    Graph graph_;
    Inputs inputs_;
    CacheInputs full_;
    std::optional<CacheInputs> sliding_;
    Node weight_ = 0;
    Node gate_ = 0;
};

}  // namespace

std::int64_t compute_bytes(const ModelShape& shape, const backend::MemorySettings& settings) {
    return Builder(shape, settings).run();
}

}  // namespace velollm::model
