#include "model/synthetic_file.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "backend/noise.h"
#include "gguf/tensor_types.h"
#include "gguf/writer.h"
#include "model/cells.h"
#include "model/header.h"
#include "system/nameless_file.h"

namespace velollm::model {
namespace fs = std::filesystem;
namespace {

/// Rows of noise that a matrix is filled with again and again: more of them made no difference to the speed.
constexpr std::int64_t kTileRows = 64;
constexpr std::size_t kPieceBytes = std::size_t{4} << 20U;

bool holds(const gguf::Tensor& tensor, std::string_view word) {
    return tensor.name.find(word) != std::string::npos;
}

/// A row of experts' scores each: equal rows would always choose the same experts together.
bool is_router(const gguf::Tensor& tensor) {
    return holds(tensor, "ffn_gate_inp.weight");
}

std::string constant_row(const gguf::Tensor& tensor) {
    // Biases, sinks and experts' biases 0; norms, factors of rotations and the like 1; decays below 0.
    float value = 1.0F;
    if (holds(tensor, ".bias") || holds(tensor, "sinks")) value = 0.0F;
    if (tensor.name.ends_with("ssm_a")) value = -1.0F;
    std::string bytes(static_cast<std::size_t>(tensor.bytes), '\0');
    for (std::size_t i = 0; i + sizeof(value) <= bytes.size(); i += sizeof(value))
        std::memcpy(&bytes[i], &value, sizeof(value));
    return bytes;
}

Error with_hint(Error error) {
    error.hint = "It takes as much disk as the model: free some, or let XDG_CACHE_HOME name another folder.";
    return error;
}

/// Writes one tensor after the other.
class Writer {
public:
    Writer(system::NamelessFile& file, const std::function<bool()>& stop) : file_(file), stop_(stop) {}

    Result<void> put(std::string_view bytes) {
        if (stop_ && stop_()) return Error{ErrorCode::kInterrupted, "Stopped while writing a file", ""};
        const auto done = file_.append(bytes);
        return done ? done : with_hint(done.error());
    }

    Result<void> put(const gguf::Tensor& tensor) {
        if (tensor.type == gguf::types::kF32 && !is_router(tensor)) return padded(tensor, constant_row(tensor));
        const std::int64_t rows = tensor.bytes / row_bytes(tensor.shape[0], tensor.type);
        const auto tile = tile_of(tensor, is_router(tensor) ? rows : std::min(rows, kTileRows));
        if (!tile) return tile.error();
        std::int64_t left = tensor.bytes;
        while (left > 0) {
            const auto size = std::min<std::int64_t>(left, static_cast<std::int64_t>((*tile)->size()));
            if (const auto done = put(std::string_view(**tile).substr(0, static_cast<std::size_t>(size))); !done)
                return done;
            left -= size;
        }
        return pad(tensor.bytes);
    }

private:
    /// Tiles of one type and row length are alike, and made large: a write of a few kilobytes takes its time.
    Result<const std::string*> tile_of(const gguf::Tensor& tensor, std::int64_t rows) {
        const auto key = std::tuple(tensor.type, tensor.shape[0], rows);
        const auto known = tiles_.find(key);
        if (known != tiles_.end()) return &known->second;
        auto noise = backend::noise_rows(tensor.type, tensor.shape[0], rows, ++seed_);
        if (!noise) return noise.error();
        std::string tile = *noise;
        while (rows == kTileRows && tile.size() < kPieceBytes) tile += *noise;
        return &tiles_.emplace(key, std::move(tile)).first->second;
    }

    Result<void> padded(const gguf::Tensor& tensor, const std::string& bytes) {
        const auto done = put(std::string_view(bytes));
        return done ? pad(tensor.bytes) : done;
    }

    Result<void> pad(std::int64_t bytes) {
        constexpr std::int64_t kAlignment = 32;
        const std::string zeros(static_cast<std::size_t>((kAlignment - bytes % kAlignment) % kAlignment), '\0');
        return put(std::string_view(zeros));
    }

    system::NamelessFile& file_;
    const std::function<bool()>& stop_;
    std::uint64_t seed_ = 0;
    std::map<std::tuple<std::uint32_t, std::int64_t, std::int64_t>, std::string> tiles_;
};

}  // namespace

Result<SyntheticFile> SyntheticFile::write(const ModelShape& shape, const fs::path& folder,
                                           const std::function<bool()>& stop) {
    const auto header = synthetic_header(shape);
    if (!header) return header.error();
    auto file = system::NamelessFile::make(folder);
    if (!file) return with_hint(file.error());
    if (const auto reserved = file->reserve(header->file_bytes); !reserved) return with_hint(reserved.error());
    Writer writer(*file, stop);
    std::string bytes = header->bytes;
    bytes.resize(static_cast<std::size_t>(header->data_offset), '\0');
    if (const auto done = writer.put(std::string_view(bytes)); !done) return done.error();
    for (const gguf::Tensor& tensor : shape.tensors)
        if (const auto done = writer.put(tensor); !done) return done.error();
    return SyntheticFile(std::move(*file), header->file_bytes);
}

}  // namespace velollm::model
