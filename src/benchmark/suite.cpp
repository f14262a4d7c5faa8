#include "benchmark/suite.h"

namespace velollm::benchmark {

std::vector<BenchmarkConfig> standard_suite() {
    return {
        {.name = "short_completion",
         .prompt = "Write a hello world program in Python",
         .max_tokens = 50,
         .iterations = 5},
        {.name = "medium_completion",
         .prompt = "Explain how neural networks learn through backpropagation in detail",
         .max_tokens = 150,
         .iterations = 3},
        {.name = "code_generation",
         .prompt = "Write a Rust function to compute the Fibonacci sequence using dynamic programming",
         .max_tokens = 200,
         .iterations = 3},
    };
}

}  // namespace velollm::benchmark
