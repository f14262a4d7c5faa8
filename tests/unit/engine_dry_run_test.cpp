#include <gtest/gtest.h>

#include <string>

#include "backend/dry_run.h"
#include "gguf/tensor_types.h"
#include "gguf/writer.h"
#include "model/catalogue.h"
#include "model/header.h"
#include "support/temp_folder.h"

namespace velollm::model::engine_dry_run_test {
namespace {

class EveryModel : public testing::TestWithParam<std::string> {};

TEST_P(EveryModel, OfTheCatalogueIsOneToTheEngine) {
    const auto shape = named_shape(GetParam());
    ASSERT_TRUE(shape) << shape.error().message;
    const test::TempFolder folder;
    const auto path = folder.path() / "m.gguf";
    const auto header = synthetic_header(*shape);
    ASSERT_TRUE(header) << header.error().message;
    ASSERT_TRUE(gguf::write_sparse_file(path, *header));
    const auto buffers = backend::dry_run(path, 0, {{}}).at(0);
    ASSERT_TRUE(buffers) << buffers.error().message;
    std::int64_t weights = 0;
    for (const backend::DryRunBuffer& buffer : *buffers) weights += buffer.weights_bytes;
    EXPECT_GE(weights, tensor_bytes(shape->tensors));
    EXPECT_LT(weights, tensor_bytes(shape->tensors) + (1 << 20));
}

std::vector<std::string> names() {
    std::vector<std::string> list;
    for (const serde::CatalogueModel& model : catalogue()) list.push_back(model.name);
    return list;
}

INSTANTIATE_TEST_SUITE_P(Engine, EveryModel, testing::ValuesIn(names()), [](const auto& tested) {
    std::string name = tested.param;
    for (char& c : name)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
    return name;
});

}  // namespace
}  // namespace velollm::model::engine_dry_run_test
