#include "model/graph.h"

#include <algorithm>
#include <limits>

namespace velollm::model {
namespace {

constexpr std::int64_t kAlignment = 32;

std::int64_t aligned(std::int64_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// Memory with gaps; the last gap has no end.
class Gaps {
public:
    std::int64_t take(std::int64_t bytes) {
        auto best = gaps_.end();
        for (auto gap = gaps_.begin(); gap + 1 != gaps_.end(); ++gap)
            if (gap->bytes >= bytes && (best == gaps_.end() || gap->bytes <= best->bytes)) best = gap;
        if (best == gaps_.end()) best = gaps_.end() - 1;
        const std::int64_t offset = best->offset;
        best->offset += bytes;
        best->bytes -= bytes;
        if (best->bytes == 0) gaps_.erase(best);
        high_ = std::max(high_, offset + bytes);
        return offset;
    }

    void give(std::int64_t offset, std::int64_t bytes) {
        if (bytes == 0) return;
        const auto next = std::find_if(gaps_.begin(), gaps_.end(), [&](const Gap& gap) { return gap.offset > offset; });
        auto gap = gaps_.insert(next, {offset, bytes});
        if (gap + 1 != gaps_.end() && gap->offset + gap->bytes == (gap + 1)->offset) {
            gap->bytes += (gap + 1)->bytes;
            gaps_.erase(gap + 1);
        }
        if (gap != gaps_.begin() && (gap - 1)->offset + (gap - 1)->bytes == gap->offset) {
            (gap - 1)->bytes += gap->bytes;
            gaps_.erase(gap);
        }
    }

    std::int64_t high() const { return high_; }

private:
    struct Gap {
        std::int64_t offset = 0;
        std::int64_t bytes = 0;
    };
    std::vector<Gap> gaps_{{0, std::numeric_limits<std::int64_t>::max() / 2}};
    std::int64_t high_ = 0;
};

}  // namespace

/// Walks through the order of computation and places what comes up.
class Placing {
public:
    explicit Placing(const Graph& graph) : graph_(graph), states_(graph.tensors_.size()) {}

    std::int64_t run() {
        for (const Node leaf : graph_.leaves_) place(leaf);
        for (const Node node : graph_.order_) {
            if (of(node).is_view) ++states_[of(node).source].views;
            for (const Node operand : of(node).operands) ++states_[operand].uses;
        }
        for (const Node node : graph_.order_) {
            place(node);
            for (const Node operand : of(node).operands) used(operand);
        }
        return gaps_.high();
    }

private:
    struct State {
        std::int64_t offset = 0;
        std::int64_t uses = 0;
        std::int64_t views = 0;
        bool allocated = false;
        bool placed = false;
    };

    const Graph::Tensor& of(Node node) const { return graph_.tensors_[node]; }

    void place(Node node) {
        State& state = states_[node];
        if (of(node).external || of(node).is_view || state.placed) return;
        state.placed = state.allocated = true;
        if (of(node).in_place && take_place_of_operand(node)) return;
        state.offset = gaps_.take(aligned(of(node).layout.bytes()));
    }

    /// Not that of a view: ggml takes views for tensors that it hasn't placed.
    bool take_place_of_operand(Node node) {
        for (const Node operand : of(node).operands) {
            State& state = states_[operand];
            if (!state.allocated || of(operand).output || of(operand).layout != of(node).layout) continue;
            if (state.uses != 1 || state.views != 0) continue;
            state.allocated = false;
            states_[node].offset = state.offset;
            return true;
        }
        return false;
    }

    void used(Node node) {
        State& state = states_[node];
        if (--state.uses > 0 || state.views > 0) return;
        if (!of(node).is_view) return release(node);
        State& whole = states_[of(node).source];
        if (--whole.views == 0 && whole.uses == 0) release(of(node).source);
    }

    void release(Node node) {
        State& state = states_[node];
        if (!state.allocated || of(node).output) return;
        gaps_.give(state.offset, aligned(of(node).layout.bytes()));
        state.allocated = false;
    }

    const Graph& graph_;
    std::vector<State> states_;
    Gaps gaps_;
};

Node Graph::input(const Layout& layout) {
    tensors_.push_back({.layout = layout, .is_leaf = true});
    return tensors_.size() - 1;
}

Node Graph::constant() {
    tensors_.push_back({.is_leaf = true, .external = true});
    return tensors_.size() - 1;
}

Node Graph::operation(const Layout& layout, std::initializer_list<Node> operands, bool in_place) {
    tensors_.push_back({.layout = layout, .operands = operands, .in_place = in_place});
    return tensors_.size() - 1;
}

Node Graph::view(Node of, const Layout& layout, std::initializer_list<Node> also) {
    Tensor tensor{.layout = layout, .operands = also, .is_view = true};
    tensor.operands.insert(tensor.operands.begin(), of);
    tensor.source = tensors_[of].is_view ? tensors_[of].source : of;
    tensors_.push_back(std::move(tensor));
    return tensors_.size() - 1;
}

void Graph::expand(Node node) {
    if (tensors_[node].visited) return;
    tensors_[node].visited = true;
    for (const Node operand : tensors_[node].operands) expand(operand);
    (tensors_[node].is_leaf ? leaves_ : order_).push_back(node);
}

std::int64_t Graph::buffer_bytes() const {
    return Placing(*this).run();
}

}  // namespace velollm::model
