#include "backend/embedded_loading.h"

#include <fmt/core.h>
#include <ggml.h>

#include "backend/llama_library.h"

namespace velollm::backend {

Result<int> cache_type(const std::string& name) {
    for (const ggml_type type : {GGML_TYPE_F16, GGML_TYPE_F32, GGML_TYPE_BF16, GGML_TYPE_Q8_0, GGML_TYPE_Q5_1,
                                 GGML_TYPE_Q5_0, GGML_TYPE_Q4_1, GGML_TYPE_Q4_0})
        if (name == ggml_type_name(type)) return static_cast<int>(type);
    return Error{ErrorCode::kUsage, fmt::format("Unknown KV cache type: {}", name),
                 "Known are f16, f32, bf16, q8_0, q5_1, q5_0, q4_1, q4_0."};
}

Error load_error(const EmbeddedSpec& spec) {
    const std::string& log = llama_errors();
    const std::string path = spec.file.path.string();
    if (log.find("unknown model architecture") != std::string::npos) {
        return {ErrorCode::kFailed,
                fmt::format("llama.cpp {} does not know the architecture '{}' of {}", embedded_engine_version(),
                            spec.file.header.architecture, path),
                "A newer engine may: measure it through a server, -b ollama or -b llamacpp."};
    }
    return {ErrorCode::kFailed,
            fmt::format("llama.cpp could not load {}: {}", path, log.empty() ? "no reason given" : log),
            "The file may be damaged (download it again) or too new for this engine."};
}

Error no_memory(const EmbeddedSpec& spec, std::int64_t needed) {
    const auto gb = [](std::int64_t bytes) { return static_cast<double>(bytes) / 1e9; };
    return {ErrorCode::kFailed,
            fmt::format("{} needs about {:.1f} GB of memory, and {:.1f} GB are free", spec.model, gb(needed),
                        gb(spec.memory_bytes.value_or(0))),
            "Take a smaller model or quantisation, a smaller context (--num-ctx 2048), or close other programs."};
}

}  // namespace velollm::backend
