#include "model/compute.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "gguf/tensor_types.h"
#include "model/graph_builder.h"

namespace velollm::model {
namespace {

constexpr std::int64_t kIndexBytes = 8;
constexpr std::int64_t kHalfBytes = 2;

bool is_quantised(std::uint32_t type) {
    const gguf::TensorType* known = gguf::tensor_type(type);
    return known != nullptr && known->block > 1;
}

}  // namespace

GraphBuilder::GraphBuilder(const ModelShape& shape, const backend::MemorySettings& settings)
    : shape_(shape),
      settings_(settings),
      cells_(cells_of(shape, settings)),
      tokens_(cells_.ubatch),
      name_(shape.architecture) {
    static constexpr Family kPlain{};
    family_ = family_of(shape.architecture);
    if (family_ == nullptr) family_ = &kPlain;
}

std::int64_t GraphBuilder::run() {
    make_inputs();
    Node stream = embed();
    const bool cuts_late = is("gpt-oss") || is("qwen3next");
    for (std::size_t i = 0; i < shape_.blocks.size(); ++i)
        stream = block(shape_.blocks[i], stream, !cuts_late && i + 1 == shape_.blocks.size());
    finish(stream, cuts_late);
    return graph_.buffer_bytes();
}

Node GraphBuilder::multiply(std::int64_t length, Node operand) {
    return graph_.operation(rows(length, tokens_of(operand)), {weight_, operand});
}

Node GraphBuilder::norm(Node operand) {
    const Node normed = graph_.operation(dense(graph_.layout(operand)), {operand}, /*in_place=*/!family_->layer_norm);
    const Node scaled = on(normed);
    return family_->norm_biases ? on(scaled) : scaled;
}

Node GraphBuilder::rope(Node operand) {
    return graph_.operation(dense(graph_.layout(operand)), {operand, inputs_.positions, weight_}, true);
}

Node GraphBuilder::pick(Node operand) {
    return graph_.operation(rows(graph_.layout(operand).shape[0], cells_.outputs), {operand, inputs_.out_ids});
}

CacheInputs GraphBuilder::cache_inputs(const Block& block, std::int64_t cells) {
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

void GraphBuilder::make_inputs() {
    weight_ = graph_.constant();
    inputs_.positions = graph_.input({.shape = {tokens_, 1, 1, 1}});
    inputs_.out_ids = graph_.input({.shape = {cells_.outputs, 1, 1, 1}});
    const auto attends =
        std::find_if(shape_.blocks.begin(), shape_.blocks.end(), [](const Block& block) { return !block.recurrent; });
    if (attends == shape_.blocks.end()) return;
    full_ = cache_inputs(*attends, cells_.full);
    if (shape_.sliding_window > 0) sliding_ = cache_inputs(*attends, cells_.sliding);
}

Node GraphBuilder::embed() {
    const Node tokens = graph_.input({.shape = {tokens_, 1, 1, 1}});
    const Node looked_up = graph_.operation(rows(shape_.embedding, tokens_), {weight_, tokens});
    graph_.expand(looked_up);
    // For embeddings given instead of tokens: reserved all the same.
    graph_.expand(graph_.input(rows(shape_.embedding, tokens_)));
    if (!is("granite") && !is("granitemoe") && !is("gemma2") && !is("gemma3")) return looked_up;
    return on(looked_up);
}

Node GraphBuilder::dense_part(std::int64_t width, Node input) {
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

Node GraphBuilder::routed_part(Node input) {
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

Node GraphBuilder::feed_forward(const Block& block, Node input) {
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

Node GraphBuilder::block(const Block& block, Node stream, bool last) {
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

void GraphBuilder::finish(Node stream, bool cuts_late) {
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

std::int64_t compute_bytes(const ModelShape& shape, const backend::MemorySettings& settings) {
    return GraphBuilder(shape, settings).run();
}

}  // namespace velollm::model
