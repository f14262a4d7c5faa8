#pragma once

#include <string>
#include <vector>

#include "report/context.h"

namespace velollm::report {

/// What the terminal can show.
struct Style {
    bool unicode = true;  ///< emoji, box characters and check marks
    bool color = false;
};

/// The text of `velollm benchmark`, piece by piece in the order it is printed (cli.md section 3). Each piece ends where
/// the next one begins; most end in a newline. Nothing here prints.
class Console {
public:
    /// `force`: numbers of invalid runs too.
    explicit Console(Style style, bool force = false) : style_(style), force_(force) {}

    std::string opening(const std::string& backend, const std::string& model) const;
    std::string checking(const std::string& engine) const;  ///< without a newline: available() ends the line
    std::string available(bool yes) const;
    std::string engine(const Context& context) const;
    std::string running(std::size_t benchmarks) const;
    std::string begin(const BenchmarkConfig& config) const;
    std::string iteration(std::size_t index, std::int64_t of, const RequestRecord& record) const;
    std::string end(const Context& context, const BenchmarkResult& result) const;
    std::string summary(const std::vector<BenchmarkResult>& results) const;
    /// One line and one remedy for each finding; equal findings of several requests are joined. Empty without findings.
    std::string warnings(const std::vector<BenchmarkResult>& results, bool notes) const;
    /// Every metric of every benchmark with its spread, or why it is absent; how this program itself fared, and
    /// what its last self-test said.
    std::string metrics(const std::vector<BenchmarkResult>& results, const std::string& self_test) const;
    std::string tip() const;
    std::string saved(const std::string& path) const;

    std::string error(const Error& error) const;

private:
    std::string rule() const;
    std::string icon(const char* emoji) const;

    /// No number of an invalid run stands where it could be taken for one.
    bool hidden(const BenchmarkResult& result) const;

    Style style_;
    bool force_;
};

}  // namespace velollm::report
