#pragma once

#include <velollm/result.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace velollm::serde {

/// One test of llama-bench: fields as in its CSV, whatever form it came from.
struct LlamaBenchRow {
    std::map<std::string, std::string> fields;
    std::optional<std::vector<double>> samples_ts;
    std::optional<std::vector<double>> samples_ns;

    /// Empty where there is no such field.
    std::string operator[](const std::string& key) const;
    std::optional<std::int64_t> integer(const std::string& key) const;
    std::optional<double> number(const std::string& key) const;
};

/// The tests of a text that llama-bench wrote as JSON, JSON lines, CSV, SQL or a Markdown table; nothing for another
/// text. The error's message doesn't name the text.
std::optional<Result<std::vector<LlamaBenchRow>>> llama_bench_rows(std::string_view text);

}  // namespace velollm::serde
