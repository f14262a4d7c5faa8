#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "backend/dry_run.h"
#include "backend/make_backend.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/predict_speed.h"
#include "gguf/gguf.h"
#include "gguf/tensor_types.h"
#include "hardware/detect.h"
#include "model/catalogue.h"
#include "model/fit.h"
#include "model/verify.h"
#include "report/predict_report.h"
#include "report/verify_report.h"

namespace velollm::cli {
namespace fs = std::filesystem;

namespace {

struct NamedModel {
    model::ModelShape shape;
    fs::path file;  ///< empty: it isn't here
};

Result<NamedModel> model_in_file(const fs::path& path) {
    const auto file = gguf::read_model_file(path);
    if (!file) return file.error();
    auto shape = model::shape_of(file->header);
    if (!shape) return shape.error();
    return NamedModel{std::move(*shape), path};
}

/// A file before a name of the store before the catalogue: what is here is exact.
Result<NamedModel> find(const PredictArgs& args, const system::System& system) {
    const auto here = backend::find_model_file(args.model, system);
    if (here && args.mix.empty()) return model_in_file(*here);
    if (here && model::find_model(args.model) == nullptr)
        return Error{ErrorCode::kUsage, fmt::format("{} is here, and has its quantisation", args.model),
                     "Leave --quantization out."};
    if (!here && here.error().code != ErrorCode::kModelNotFound) return here.error();
    auto shape = model::named_shape(args.model, args.mix);
    if (!shape) return shape.error();
    return NamedModel{std::move(*shape), {}};
}

Result<std::uint32_t> cache_type(const std::string& name) {
    for (std::uint32_t number = 0; number < gguf::kTensorTypeCount; ++number) {
        const gguf::TensorType* type = gguf::tensor_type(number);
        if (type != nullptr && base::lower(type->name) == base::lower(name)) return number;
    }
    return Error{ErrorCode::kUsage, fmt::format("Unknown type of a KV cache: {}", name), "Take f16, q8_0 or q4_0."};
}

int verify(const PredictArgs& args, const report::Console& console, const NamedModel& found) {
    if (!backend::can_dry_run())
        return fail(console, {ErrorCode::kUsage, "This build can't ask the engine what memory it would take",
                              "Run scripts/setup and build again."});
    const auto verified = model::verify_memory(found.file, found.shape);
    const std::string json = report::verification_json(found.shape, verified, 2) + "\n";
    const int code = hand_over(args.out, console, json, report::verification_text(found.shape, verified), args.json);
    const bool good =
        std::all_of(verified.begin(), verified.end(), [](const model::VerifiedMemory& one) { return one.good(); });
    return code == 0 && !good ? exit_code(ErrorCode::kFailed) : code;
}

}  // namespace

int cmd_predict(const PredictArgs& args, const system::System& system) {
    const report::Console console(style_of(args.out, system));
    const auto type = cache_type(args.kv_type);
    if (!type) return fail(console, type.error());
    auto found = find(args, system);
    if (!found) return fail(console, found.error());
    if (args.verify) return verify(args, console, *found);
    const hardware::KernelAnswers kernel = hardware::ask_kernel();
    system::SteadyClock clock;
    Hardware hardware = hardware::detect_with_libraries(system, kernel, clock);

    model::MemoryQuestion question;
    question.settings.context_tokens = args.context;
    question.settings.outputs = question.settings.sequences;  // as a server has it
    question.settings.key_type = *type;
    question.settings.value_type = *type;
    // The engine is asked in copies of this process, which must have one thread until then.
    model::Prediction prediction = model::predict(found->file, std::move(found->shape), question, args.depth, hardware);
    SpeedOfPrediction speed(args, system, hardware);
    if (const auto done = speed.work_out(found->file, prediction); !done) return fail(console, done.error());
    if (!speed.note().empty()) prediction.memory.notes.push_back(speed.note());
    const std::string json = report::prediction_json(prediction, 2) + "\n";
    return hand_over(args.out, console, json, report::prediction_text(prediction), args.json);
}

}  // namespace velollm::cli
