#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

namespace velollm::model {

/// A tensor of a computation, by its place in the graph.
using Node = std::size_t;

/// How the elements of a tensor lie.
struct Layout {
    std::array<std::int64_t, 4> shape{1, 1, 1, 1};
    std::int64_t element_bytes = 4;
    bool contiguous = true;

    std::int64_t bytes() const { return shape[0] * shape[1] * shape[2] * shape[3] * element_bytes; }
    bool operator==(const Layout&) const = default;
};

/// A computation graph without its values: enough to lay out its intermediate results as ggml does, and so to know the
/// size of the compute buffer. Follows ggml-alloc.c and ggml_build_forward_expand of llama.cpp 0.5.0: results lie in
/// the best fitting gap, are freed after their last use, and where an operation allows it take the place of an operand.
class Graph {
public:
    /// Filled by the program before the computation.
    Node input(const Layout& layout);
    /// Weights and caches: they lie elsewhere.
    Node constant();
    /// The result of an operation. `in_place`: it may take the place of an operand that nobody else needs.
    Node operation(const Layout& layout, std::initializer_list<Node> operands, bool in_place = false);
    /// The elements of another tensor, seen otherwise; `also` are computed before it.
    Node view(Node of, const Layout& layout, std::initializer_list<Node> also = {});
    /// Keeps a result to the end.
    void keep(Node node) { tensors_[node].output = true; }
    /// Puts a tensor, and before it all that it needs, into the order of computation, unless it is there.
    void expand(Node node);

    const Layout& layout(Node node) const { return tensors_[node].layout; }

    /// Bytes of the buffer that holds all results.
    std::int64_t buffer_bytes() const;

private:
    struct Tensor {
        Layout layout;
        std::vector<Node> operands;
        Node source = 0;  ///< of a view: the tensor whose memory it is
        bool is_view = false;
        bool in_place = false;
        bool is_leaf = false;
        bool external = false;
        bool output = false;
        bool visited = false;
    };
    friend class Placing;

    std::vector<Tensor> tensors_;
    std::vector<Node> leaves_;
    std::vector<Node> order_;
};

}  // namespace velollm::model
