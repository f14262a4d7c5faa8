#include <velollm/benchmark.h>

#include <iostream>

int main() {
    velollm::BenchmarkConfig config{
        .name = "custom_test", .model = "llama3.2:3b", .prompt = "Your own prompt", .max_tokens = 100, .iterations = 5};
    velollm::BenchmarkRunner runner("ollama");
    auto result = runner.run(config);
    if (!result) {
        std::cerr << result.error().message << '\n';
        return 1;
    }
    std::cout << "Tokens/s: " << result->tokens_per_second << '\n';
}
