#include "report/engine_json.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "report/facts.h"
#include "report/machine_json.h"

namespace velollm::report {
namespace {

void write_devices(base::JsonWriter& json, const EngineView& view) {
    if (!view.devices_known) {
        json.null();
        return;
    }
    json.begin_array();
    for (const EngineDevice& device : view.devices) {
        json.begin_object();
        json.field("name", device.name).field("description", device.description);
        json.field("memory_total_mb", device.total_bytes / kMib).field("memory_free_mb", device.free_bytes / kMib);
        json.end_object();
    }
    json.end_array();
}

void write_models(base::JsonWriter& json, const EngineView& view) {
    if (!view.server_running) {
        json.null();
        return;
    }
    json.begin_array();
    for (const EngineModel& model : view.models) {
        json.begin_object();
        json.field("name", model.name);
        json.field("total_mb", model.total_bytes / kMib).field("gpu_mb", model.gpu_bytes / kMib);
        json.end_object();
    }
    json.end_array();
}

std::string devices_text(const EngineView& view) {
    if (!view.devices_known) return "not told";
    std::string text;
    for (const EngineDevice& device : view.devices)
        text += fmt::format("{}{} {} ({}, {} free)", text.empty() ? "" : "; ", device.name, device.description,
                            gib_text(device.total_bytes), gib_text(device.free_bytes));
    return text.empty() ? "none" : text;
}

}  // namespace

void write_engine_view(base::JsonWriter& json, const EngineView& view) {
    json.begin_object();
    json.field("engine", view.engine);
    json.field("version", text_or_null(view.version));
    json.field("server_running", view.server_running);
    json.field("threads", view.threads);
    json.key("features").begin_array();
    for (const std::string& feature : view.features) json.value(feature);
    json.end_array();
    write_devices(json.key("devices"), view);
    write_models(json.key("models"), view);
    json.end_object();
}

std::string engine_lines(const EngineView& view) {
    std::string text = labelled("Engine", fmt::format("{} {}{}", view.engine, view.version,
                                                      view.server_running ? ", its server is running" : ""));
    text += labelled("  devices", devices_text(view));
    text += labelled("  threads", view.threads ? fmt::format("{} by itself", *view.threads) : "not told");
    if (!view.features.empty()) text += labelled("  built for", fmt::format("{}", fmt::join(view.features, " ")));
    for (const EngineModel& model : view.models)
        text += labelled("  holds", fmt::format("{}: {}, of which {} on GPUs", model.name, gib_text(model.total_bytes),
                                                gib_text(model.gpu_bytes)));
    return text;
}

}  // namespace velollm::report
