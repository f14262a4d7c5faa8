#include "serde/llama_bench_rows.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/text.h"
#include "serde/json_value.h"
#include "serde/measured_parts.h"

namespace velollm::serde {
namespace {

using Row = LlamaBenchRow;
using Rows = Result<std::vector<Row>>;

Error wrong(std::string message) {
    return {ErrorCode::kUsage, std::move(message), {}};
}

// ---- JSON, JSON lines ----

Row row_of(JsonValue object) {
    Row row;
    for (const std::string& key : object.keys()) {
        const std::string value = object[key].plain();
        // The other forms write a number for these.
        row.fields[key] = value == "true" ? "1" : value == "false" ? "0" : value;
    }
    row.samples_ts = object["samples_ts"].numbers();
    row.samples_ns = object["samples_ns"].numbers();
    return row;
}

Rows from_json(std::string_view text) {
    const auto document = first_of(text) == '[' ? JsonText::parse(text) : JsonText::parse_lines(text);
    if (!document) return wrong(document.error().message);
    std::vector<Row> rows;
    for (std::size_t i = 0; i < document->root().size(); ++i) {
        const JsonValue one = document->root().at(i);
        for (const char* key : {"samples_ts", "samples_ns"})
            if (one[key] && !one[key].numbers())
                return wrong(fmt::format("test {}: \"{}\" must be a list of numbers", i + 1, key));
        rows.push_back(row_of(one));
    }
    return rows;
}

// ---- CSV, SQL, Markdown ----

/// Fields of a line of CSV; in quotes, a quote is doubled. Nothing where a quote is left open.
std::optional<std::vector<std::string>> csv_fields(std::string_view line) {
    std::vector<std::string> out(1);
    bool quoted = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (c == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"') {
            out.back() += line[++i];
        } else if (c == '"') {
            quoted = !quoted;
        } else if (c == ',' && !quoted) {
            out.emplace_back();
        } else {
            out.back() += c;
        }
    }
    return quoted ? std::nullopt : std::optional(std::move(out));
}

std::optional<Row> row_with(const std::vector<std::string>& names, const std::vector<std::string>& values) {
    if (names.size() != values.size()) return std::nullopt;
    Row row;
    for (std::size_t i = 0; i < names.size(); ++i) row.fields[names[i]] = values[i];
    return row;
}

Rows from_csv(std::string_view text) {
    std::vector<std::string> names;
    std::vector<Row> rows;
    std::size_t number = 0;
    for (const std::string_view line : lines_of(text)) {
        ++number;
        if (base::trim(line).empty()) continue;
        const auto fields = csv_fields(line);
        if (fields && !fields->empty() && fields->front() == "build_commit") {
            names = *fields;  // also that of a second file behind the first
            continue;
        }
        const auto row = fields ? row_with(names, *fields) : std::nullopt;
        if (!row) return wrong(fmt::format("line {}: not as many fields as there are names", number));
        rows.push_back(*row);
    }
    return rows;
}

/// The texts of "'a', 'b'". llama-bench doesn't double a quote within: the end of a value is what stands behind it.
std::vector<std::string> sql_values(std::string_view list) {
    std::vector<std::string> out;
    if (list.size() < 2) return out;
    list = list.substr(1, list.size() - 2);
    for (std::size_t begin = 0; begin <= list.size();) {
        const std::size_t end = std::min(list.find("', '", begin), list.size());
        out.emplace_back(list.substr(begin, end - begin));
        begin = end + 4;
    }
    return out;
}

Rows from_sql(std::string_view text) {
    constexpr std::string_view kInsert = "INSERT INTO llama_bench (";
    constexpr std::string_view kValues = ") VALUES (";
    std::vector<Row> rows;
    std::size_t number = 0;
    for (const std::string_view raw : lines_of(text)) {
        ++number;
        const std::string_view line = base::trim(raw);
        if (!line.starts_with(kInsert)) continue;
        const std::size_t middle = line.find(kValues);
        std::optional<Row> row;
        if (middle != std::string_view::npos && line.ends_with("');")) {
            std::vector<std::string> names;
            for (const auto name : base::split(line.substr(kInsert.size(), middle - kInsert.size()), ','))
                names.emplace_back(base::trim(name));
            const std::size_t begin = middle + kValues.size();
            row = row_with(names, sql_values(line.substr(begin, line.size() - 2 - begin)));
        }
        if (!row) return wrong(fmt::format("line {}: not as many values as there are names", number));
        rows.push_back(*row);
    }
    return rows;
}

std::vector<std::string> cells(std::string_view line) {
    std::vector<std::string> out;
    for (const std::string_view cell : base::split(line, '|')) out.emplace_back(base::trim(cell));
    if (!out.empty()) out.erase(out.begin());
    if (!out.empty()) out.pop_back();
    return out;
}

/// The number behind `word` in "pp512+tg128 @ d4096"; 0 where the word isn't there.
std::string number_behind(std::string_view test, std::string_view word) {
    const std::size_t at = test.find(word);
    if (at == std::string_view::npos) return "0";
    test.remove_prefix(at + word.size());
    return std::string(test.substr(0, test.find_first_not_of("0123456789")));
}

/// The field whose column has the title.
std::string field_of(const std::string& title) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 15> kTitles{{{"ngl", "n_gpu_layers"},
                                                                                     {"sm", "split_mode"},
                                                                                     {"threads", "n_threads"},
                                                                                     {"nkvo", "no_kv_offload"},
                                                                                     {"fa", "flash_attn"},
                                                                                     {"lm", "load_mode"},
                                                                                     {"embd", "embeddings"},
                                                                                     {"nopo", "no_op_offload"},
                                                                                     {"noh", "no_host"},
                                                                                     {"rpk", "repack"},
                                                                                     {"dev", "devices"},
                                                                                     {"ts", "tensor_split"},
                                                                                     {"ot", "tensor_buft_overrides"},
                                                                                     {"fitt", "fit_target"},
                                                                                     {"fitc", "fit_min_ctx"}}};
    for (const auto& [short_name, field] : kTitles)
        if (short_name == title) return std::string(field);
    return title;
}

/// Gives the row the fields that the other forms have.
void complete(Row& row) {
    const std::string test = row["test"];
    row.fields["n_prompt"] = number_behind(test, "pp");
    row.fields["n_gen"] = number_behind(test, "tg");
    row.fields["n_depth"] = number_behind(test, "@ d");
    row.fields["model_type"] = row["model"];
    row.fields["backends"] = row["backend"];
    row.fields.erase("backend");
    const std::string speed = row["t/s"];
    const std::size_t sign = speed.find(" ± ");
    row.fields["avg_ts"] = speed.substr(0, sign);
    if (sign != std::string::npos) row.fields["stddev_ts"] = speed.substr(sign + std::string_view(" ± ").size());
}

Rows from_markdown(std::string_view text) {
    std::vector<std::string> names;
    std::vector<Row> rows;
    std::size_t number = 0;
    for (const std::string_view raw : lines_of(text)) {
        ++number;
        const std::string_view line = base::trim(raw);
        if (line.starts_with("build: ")) {
            const auto words = base::split(line.substr(7), ' ');
            for (Row& row : rows) {
                row.fields["build_commit"] = words.front();
                const std::string_view last = words.back();
                if (last.starts_with("(") && last.ends_with(")"))
                    row.fields["build_number"] = last.substr(1, last.size() - 2);
            }
        }
        if (!line.starts_with("|")) continue;
        const auto values = cells(line);
        if (!values.empty() && values.front() == "model") {
            names.clear();
            for (const std::string& title : values) names.push_back(field_of(title));
            continue;
        }
        if (!values.empty() && values.front().starts_with("---")) continue;
        auto row = row_with(names, values);
        if (!row) return wrong(fmt::format("line {}: not as many cells as there are titles", number));
        complete(*row);
        rows.push_back(*row);
    }
    return rows;
}

bool is_markdown(std::string_view text) {
    for (const std::string_view line : lines_of(text.substr(0, 20'000)))
        if (line.starts_with("|")) {
            const auto titles = cells(line);
            return titles.size() > 2 && titles.front() == "model" && titles.back() == "t/s" &&
                   titles[titles.size() - 2] == "test";
        }
    return false;
}

}  // namespace

std::string LlamaBenchRow::operator[](const std::string& key) const {
    const auto it = fields.find(key);
    return it == fields.end() ? std::string() : it->second;
}

std::optional<std::int64_t> LlamaBenchRow::integer(const std::string& key) const {
    return base::parse_int((*this)[key]);
}

std::optional<double> LlamaBenchRow::number(const std::string& key) const {
    const auto number = base::parse_double((*this)[key]);
    return number && std::isfinite(*number) ? number : std::nullopt;
}

std::optional<Rows> llama_bench_rows(std::string_view text) {
    const bool json = first_of(text) == '[' || first_of(text) == '{';
    if (json && mentions(text, "build_commit") && mentions(text, "avg_ts")) return from_json(text);
    if (base::trim(text.substr(0, 100)).starts_with("build_commit,")) return from_csv(text);
    if (text.find("INSERT INTO llama_bench (") != std::string_view::npos) return from_sql(text);
    if (is_markdown(text)) return from_markdown(text);
    return std::nullopt;
}

}  // namespace velollm::serde
