#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "gguf/gguf.h"
#include "gguf/size_text.h"
#include "gguf/tensor_types.h"
#include "support/gguf_writer.h"
#include "support/temp_folder.h"

namespace velollm::gguf::gguf_file_test {
namespace {

using test::GgufWriter;
using test::TempFolder;

constexpr std::uint32_t kF32 = 0;

/// A model of one tensor with this many floats.
GgufWriter one_tensor(std::uint64_t floats) {
    GgufWriter writer;
    return writer.str("general.architecture", "llama").tensor("t", {floats}, kF32, floats * 4);
}

TEST(GgufTypes, TensorTypesHaveThePublishedBitsPerWeight) {
    struct Row {
        std::uint32_t number;
        std::string_view name;
        double bits;
    };
    for (const Row row :
         {Row{0, "F32", 32},        Row{1, "F16", 16},          Row{30, "BF16", 16},       Row{2, "Q4_0", 4.5},
          Row{3, "Q4_1", 5},        Row{6, "Q5_0", 5.5},        Row{7, "Q5_1", 6},         Row{8, "Q8_0", 8.5},
          Row{10, "Q2_K", 2.625},   Row{11, "Q3_K", 3.4375},    Row{12, "Q4_K", 4.5},      Row{13, "Q5_K", 5.5},
          Row{14, "Q6_K", 6.5625},  Row{16, "IQ2_XXS", 2.0625}, Row{17, "IQ2_XS", 2.3125}, Row{18, "IQ3_XXS", 3.0625},
          Row{19, "IQ1_S", 1.5625}, Row{20, "IQ4_NL", 4.5},     Row{21, "IQ3_S", 3.4375},  Row{22, "IQ2_S", 2.5625},
          Row{23, "IQ4_XS", 4.25},  Row{29, "IQ1_M", 1.75},     Row{34, "TQ1_0", 1.6875},  Row{35, "TQ2_0", 2.0625},
          Row{39, "MXFP4", 4.25},   Row{40, "NVFP4", 4.5},      Row{41, "Q1_0", 1.125},    Row{42, "Q2_0", 2.25}}) {
        const TensorType* type = tensor_type(row.number);
        ASSERT_NE(type, nullptr) << row.name;
        EXPECT_EQ(type->name, row.name);
        EXPECT_DOUBLE_EQ(static_cast<double>(type->block_bytes * 8) / static_cast<double>(type->block), row.bits)
            << row.name;
    }
    EXPECT_EQ(tensor_type(43), nullptr);
    EXPECT_EQ(tensor_type(36), nullptr);
    EXPECT_EQ(removed_tensor_type(36), "IQ4_NL_4_4");
}

TEST(GgufTypes, FileTypesHaveTheNamesThatLlamaQuantizeTakes) {
    EXPECT_EQ(file_type_name(0), "F32");
    EXPECT_EQ(file_type_name(3), "Q4_1");
    EXPECT_EQ(file_type_name(7), "Q8_0");
    EXPECT_EQ(file_type_name(15), "Q4_K_M");
    EXPECT_EQ(file_type_name(18), "Q6_K");
    EXPECT_EQ(file_type_name(30), "IQ4_XS");
    EXPECT_EQ(file_type_name(32), "BF16");
    EXPECT_EQ(file_type_name(38), "MXFP4");
    EXPECT_EQ(file_type_name(41), "Q2_0");
    for (const std::int64_t unknown : {-1, 5, 33, 42, 1024}) EXPECT_EQ(file_type_name(unknown), "") << unknown;
}

TEST(GgufFile, SaysWhatAFileIsInstead) {
    const auto what = [](std::string_view bytes) { return not_gguf(bytes, "m").message; };
    EXPECT_EQ(what("  <!DOCTYPE html><html>"), "Not a GGUF file: m holds a web page");
    EXPECT_EQ(what("{\"error\":\"gated\"}"), "Not a GGUF file: m holds a JSON text");
    EXPECT_EQ(what("PK\x03\x04...."), "Not a GGUF file: m holds a zip archive or a PyTorch model");
    EXPECT_EQ(what(GgufWriter::number(900, 8) + "{\"a\":1}"), "Not a GGUF file: m holds a safetensors file");
    EXPECT_EQ(what("tjgg\x01"), "Not a GGUF file: m holds a GGJT file");
    EXPECT_EQ(what(std::string(4096, '\0')),
              "Not a GGUF file: m holds zero bytes, as of a download that reserved its space and never filled it");
    EXPECT_EQ(what("hello world"), "Not a GGUF file: m begins with \"hello wo\"");
    EXPECT_EQ(what("\x01\x02"), "Not a GGUF file: m begins with 01 02");

    const Error pointer = not_gguf("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "m");
    EXPECT_EQ(pointer.message, "Not a GGUF file: m holds a Git LFS pointer, not the model itself");
    EXPECT_NE(pointer.hint.find("git lfs pull"), std::string::npos);
}

TEST(GgufFile, SizesReadAsOnDownloadPages) {
    EXPECT_EQ(size_text(0), "0 bytes");
    EXPECT_EQ(size_text(999), "999 bytes");
    EXPECT_EQ(size_text(1000), "1.0 kB");
    EXPECT_EQ(size_text(999'949), "999.9 kB");
    EXPECT_EQ(size_text(999'950), "1.0 MB");
    EXPECT_EQ(size_text(100'000'000), "100.0 MB");
    EXPECT_EQ(size_text(~0ULL), "18.4 EB");
}

TEST(GgufFile, ReadsAHeaderLongerThanItsFirstRead) {
    GgufWriter writer = one_tensor(4);
    writer.strs("tokenizer.ggml.tokens", std::vector<std::string>(300'000, "token"));
    const TempFolder folder;
    const auto path = folder.write("long.gguf", writer.file());
    const auto model = read_model_file(path);
    ASSERT_TRUE(model) << model.error().message;
    EXPECT_EQ(model->path, path);
    EXPECT_EQ(model->file_bytes, static_cast<std::int64_t>(writer.file().size()));
    EXPECT_EQ(model->header.vocab_size, 300'000);
}

TEST(GgufFile, ReadsOnlyTheHeaderOfAHugeFile) {
    constexpr std::uint64_t kFloats = 10'000'000'000;  // 40 GB, all of it a hole
    const TempFolder folder;
    const auto path = folder.write("huge.gguf", one_tensor(kFloats).header());
    std::filesystem::resize_file(path, one_tensor(kFloats).data_offset() + kFloats * 4);
    const auto model = read_model_file(path);
    ASSERT_TRUE(model) << model.error().message;
    EXPECT_EQ(model->header.parameters, 10'000'000'000);
}

TEST(GgufFile, AMissingFileOffersItsNeighbours) {
    const TempFolder folder;
    folder.write("llama-3.2-3b-Q4_K_M.gguf", "x");
    folder.write("llama-3.2-3b-q4_k_s.txt", "x");
    const auto model = read_model_file(folder.path() / "llama-3.2-3b-q4_k_s.gguf");
    ASSERT_FALSE(model);
    EXPECT_EQ(model.error().code, ErrorCode::kModelNotFound);
    EXPECT_EQ(model.error().hint, "Did you mean llama-3.2-3b-Q4_K_M.gguf?");
}

TEST(GgufFile, RefusesWhatIsNoFileWithSomethingInIt) {
    const TempFolder folder;
    const auto empty = read_model_file(folder.write("a/empty.gguf", ""));
    ASSERT_FALSE(empty);
    EXPECT_TRUE(empty.error().message.ends_with("/a/empty.gguf is empty"));

    const auto directory = read_model_file(folder.path() / "a");
    ASSERT_FALSE(directory);
    EXPECT_TRUE(directory.error().message.ends_with("/a is a folder, not a GGUF file"));
    EXPECT_TRUE(directory.error().hint.ends_with("/a/empty.gguf"));

    const auto pipe = folder.path() / "pipe";
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    const auto refused = read_model_file(pipe);  // opening it would wait for a writer for ever
    ASSERT_FALSE(refused);
    EXPECT_TRUE(refused.error().message.ends_with("/pipe is a device or a pipe, not a file"));
}

TEST(GgufFile, AFileOfAnotherUserIsUnreadableNotMissing) {
    const TempFolder folder;
    const auto path = folder.write("mine.gguf", one_tensor(4).file());
    ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
    ASSERT_EQ(::chmod(path.c_str(), 0), 0);
    const bool root = ::geteuid() == 0;  // root reads everything, so it becomes someone else for the attempt
    ASSERT_TRUE(!root || ::seteuid(65534) == 0) << "root without the right to become another user";
    const auto model = read_model_file(path);
    ASSERT_TRUE(!root || ::seteuid(0) == 0);
    ASSERT_FALSE(model);
    EXPECT_EQ(model.error().code, ErrorCode::kFailed);
    EXPECT_EQ(model.error().message, "Cannot read " + path.string() + ": Permission denied");
}

}  // namespace
}  // namespace velollm::gguf::gguf_file_test
