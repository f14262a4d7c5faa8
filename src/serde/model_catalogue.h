#pragma once

#include <velollm/result.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace velollm::serde {

/// A file of a model that somebody has published.
struct PublishedFile {
    std::string quantization;
    std::int64_t bytes = 0;
    std::int64_t rounded_to = 1;  ///< the source states multiples of this only
    std::string source;
};

/// A model of data/models.json: the figures of its published configuration in the terms of a GGUF header. A number that
/// the model doesn't have is 0.
struct CatalogueModel {
    std::string name;                  ///< "llama3.1:8b"
    std::vector<std::string> aliases;  ///< other names that people use, with the Hugging Face ids
    std::string architecture;          ///< llama.cpp's name
    std::string source;                ///< where the figures were looked up; "recalled" when they weren't
    std::string quantization;          ///< the mix that is meant when none is asked for
    std::string released;              ///< "2024-09": year and month; empty when unknown

    std::int64_t blocks = 0;
    std::int64_t embedding = 0;
    std::int64_t heads = 0;
    std::int64_t kv_heads = 0;
    std::int64_t key_length = 0;
    std::int64_t value_length = 0;  ///< `key_length` unless stated
    std::int64_t feed_forward = 0;
    std::int64_t vocabulary = 0;
    std::int64_t context = 0;
    bool tied = false;
    std::int64_t sliding_window = 0;
    std::int64_t rope_dimensions = 0;  ///< `key_length` unless stated
    bool qkv_bias = false;
    bool rope_factors = false;
    bool long_factors = false;

    std::int64_t experts = 0;  ///< experts.*
    std::int64_t experts_used = 0;
    std::int64_t experts_shared = 0;
    std::int64_t expert_feed_forward = 0;
    std::int64_t shared_feed_forward = 0;
    std::int64_t leading_dense_blocks = 0;
    std::int64_t moe_step = 0;
    bool expert_biases = false;

    std::int64_t q_lora_rank = 0;  ///< mla.*
    std::int64_t kv_lora_rank = 0;
    std::int64_t key_length_mla = 0;
    std::int64_t value_length_mla = 0;

    std::int64_t full_attention_interval = 0;  ///< recurrent.*
    std::int64_t conv_kernel = 0;
    std::int64_t inner_size = 0;
    std::int64_t state_size = 0;
    std::int64_t time_step_rank = 0;
    std::int64_t group_count = 0;

    std::vector<PublishedFile> files;
};

/// Reads a catalogue (schema/velollm-models-1.schema.json). Refuses unknown keys, figures that no model has, and names
/// that two models share. `source` names the text in messages.
Result<std::vector<CatalogueModel>> read_model_catalogue(std::string_view json, const std::string& source);

}  // namespace velollm::serde
