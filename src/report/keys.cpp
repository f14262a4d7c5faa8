#include "report/keys.h"

#include "base/digest.h"
#include "base/json_writer.h"
#include "report/hardware_json.h"

namespace velollm::report {

using base::JsonWriter;

Keys keys_of(const Context& context, const BenchmarkResult& result) {
    Keys keys;
    keys.hardware = base::sha256_hex(hardware_key_text(context.hardware));

    // A benchmark is what it is in whatever suite it stands, so the suite isn't part of it.
    // Members in alphabetical order and without white space, as RFC 8785 has it: equal facts give equal bytes.
    JsonWriter workload;
    workload.begin_object()
        .field("arrival", "closed")
        .field("concurrency", 1)
        .field("context_depth", result.config.context_depth);
    workload.field("name", result.config.name).field("output_tokens", result.config.max_tokens);
    workload.field("prompt_sha256", base::sha256_hex(result.config.prompt));
    workload.field("stream", true).field("temperature", 0).end_object();
    keys.workload = base::sha256_hex(workload.text());

    const TargetInfo& target = context.target;
    JsonWriter series;
    series.begin_object().field("hardware", keys.hardware);
    if (target.digest.empty()) {
        series.field("model", target.model).field("params", target.parameters).field("quant", target.quantization);
    } else {
        series.field("model", target.digest);
    }
    series.field("runtime", target.kind).key("settings").begin_object();
    for (const auto& [name, value] : target.settings) series.field(name, value);
    series.end_object().field("workload", keys.workload).end_object();
    keys.series = base::sha256_hex(series.text());
    return keys;
}

}  // namespace velollm::report
