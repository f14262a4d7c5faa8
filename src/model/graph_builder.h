#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "backend/dry_run.h"
#include "model/cells.h"
#include "model/families.h"
#include "model/graph.h"
#include "model/shape.h"

namespace velollm::model {

/// What all blocks of one graph share.
struct GraphInputs {
    Node positions = 0;
    Node out_ids = 0;
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

/// Builds the graph of one batch. One object, one graph.
class GraphBuilder {
public:
    GraphBuilder(const ModelShape& shape, const backend::MemorySettings& settings);

    /// Bytes of the buffer for its results.
    std::int64_t run();

private:
    bool is(std::string_view architecture) const { return name_ == architecture; }

    // ---- Operations ----

    static Layout rows(std::int64_t length, std::int64_t count) { return {.shape = {length, count, 1, 1}}; }
    static Layout cube(std::int64_t a, std::int64_t b, std::int64_t c) { return {.shape = {a, b, c, 1}}; }
    /// Elements that don't lie one behind the other.
    static Layout loose(Layout layout) {
        layout.contiguous = false;
        return layout;
    }
    std::int64_t tokens_of(Node node) const { return graph_.layout(node).shape[1]; }

    Node multiply(std::int64_t length, Node operand);
    /// An operation on a tensor and weights, in its place where possible: bias, scale, rope.
    Node on(Node operand) { return graph_.operation(dense(graph_.layout(operand)), {operand, weight_}, true); }
    static Layout dense(Layout layout) {
        layout.contiguous = true;
        return layout;
    }
    Node add(Node a, Node b) { return graph_.operation(dense(graph_.layout(a)), {a, b}, true); }
    Node norm(Node operand);
    Node rope(Node operand);
    Node pick(Node operand);
    Node reshape(Node operand, const Layout& layout) { return graph_.view(operand, layout); }

    // ---- Inputs ----

    CacheInputs cache_inputs(const Block& block, std::int64_t cells);
    void make_inputs();
    Node embed();

    // ---- Attention ----
    Projected project(const Block& block, Node input);
    bool has_rope(const Block& block) const;
    Projected heads(const Block& block, Node input);
    Node rotate(Node operand, Node rotation);
    void store(Node value, Node index);
    void store_transposed(const CacheInputs& cache, Node value);

    /// Queries against the cache. `value_length`: of a head of the result; `latent`: the width that MLA makes of it.
    Node attend(const CacheInputs& cache, Node q, std::int64_t value_length, std::int64_t latent);
    Node attention(const Block& block, Node input);
    Node latent_attention(const Block& block, Node input);

    // ---- The rest of a block ----

    Node dense_part(std::int64_t width, Node input);
    Node routed_part(Node input);
    Node feed_forward(const Block& block, Node input);
    Node block(const Block& block, Node stream, bool last);
    void finish(Node stream, bool cuts_late);

    const ModelShape& shape_;
    const backend::MemorySettings& settings_;
    Cells cells_;
    std::int64_t tokens_;
    std::string_view name_;
    const Family* family_ = nullptr;
    Graph graph_;
    GraphInputs inputs_;
    CacheInputs full_;
    std::optional<CacheInputs> sliding_;
    Node weight_ = 0;
    Node gate_ = 0;
};

}  // namespace velollm::model
