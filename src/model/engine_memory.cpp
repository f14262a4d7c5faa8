#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "gguf/writer.h"
#include "model/header.h"
#include "model/memory.h"

namespace velollm::model {
namespace fs = std::filesystem;
namespace {

/// A folder of its own, gone at the end.
class Folder {
public:
    Folder() {
        std::error_code error;
        std::string pattern = (fs::temp_directory_path(error) / "velollm-XXXXXX").string();
        if (!error && ::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
    }
    ~Folder() {
        std::error_code ignored;
        if (!path_.empty()) fs::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    const fs::path& path() const { return path_; }

private:
    fs::path path_;
};

}  // namespace

Result<MemoryEstimate> memory_by_engine(const fs::path& file, const ModelShape& shape, const MemoryQuestion& question) {
    const auto buffers = backend::dry_run(file, question.gpu_layers, {question.settings}).at(0);
    if (!buffers) return buffers.error();
    MemoryEstimate estimate;
    estimate.basis = MemoryBasis::kEngine;
    for (const backend::DryRunBuffer& buffer : *buffers) {
        MemoryUse& use = buffer.host ? estimate.host : estimate.gpu;
        use.weights_bytes += buffer.weights_bytes;
        use.cache_bytes += buffer.context_bytes;
        use.compute_bytes += buffer.compute_bytes;
        if (buffer.name == "CPU_REPACK") estimate.repacked_bytes += buffer.weights_bytes;
    }
    // The engine states caches and states as one; the states are known to the byte, and its account of them is a
    // buffer, which is padded.
    const std::int64_t states = state_bytes(shape, question.settings);
    MemoryUse& holder = estimate.host.cache_bytes >= states ? estimate.host : estimate.gpu;
    holder.state_bytes = states;
    holder.cache_bytes -= states;
    // It doesn't state what it hands over.
    estimate.host.output_bytes = memory_by_formula(shape, question).host.output_bytes;
    if (question.mapped) estimate.mapped_bytes = estimate.host.weights_bytes;
    return estimate;
}

Result<MemoryEstimate> memory_by_engine(const ModelShape& shape, const MemoryQuestion& question) {
    const auto header = synthetic_header(shape);
    if (!header) return header.error();
    const Folder folder;
    if (folder.path().empty())
        return Error{ErrorCode::kFailed, "No folder for a file of the model's shape can be made",
                     "Let TMPDIR name a folder that can be written."};
    const fs::path file = folder.path() / "model.gguf";
    if (const auto written = gguf::write_sparse_file(file, *header); !written) return written.error();
    return memory_by_engine(file, shape, question);
}

MemoryEstimate memory_of(const fs::path& file, const ModelShape& shape, const MemoryQuestion& question) {
    auto asked = file.empty() ? memory_by_engine(shape, question) : memory_by_engine(file, shape, question);
    if (asked) return *asked;
    MemoryEstimate estimate = memory_by_formula(shape, question);
    estimate.notes.push_back("By formula: " + asked.error().message);
    return estimate;
}

}  // namespace velollm::model
