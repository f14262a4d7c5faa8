#include "report/host_json.h"

#include "metrics/request.h"

namespace velollm::report {
namespace {

constexpr int kDecimals = 4;

void write_hiccups(base::JsonWriter& json, const Hiccups& hiccups) {
    json.key("hiccups").begin_object().field("naps", hiccups.naps).field("nap_ms", to_ms(hiccups.nap), kDecimals);
    json.field("p50_ms", to_ms(hiccups.p50), kDecimals).field("p99_ms", to_ms(hiccups.p99), kDecimals);
    json.field("max_ms", to_ms(hiccups.max), kDecimals).end_object();
}

void write_gauge(base::JsonWriter& json, std::string_view key, const std::optional<Gauge>& gauge) {
    if (!gauge) return;
    json.key(key).begin_object().field("min", gauge->min, kDecimals).field("mean", gauge->mean, kDecimals);
    json.field("max", gauge->max, kDecimals).end_object();
}

void write_energy(base::JsonWriter& json, std::string_view key, const std::optional<Energy>& energy) {
    if (!energy) return;
    json.key(key).begin_object().field("joules", energy->joules, kDecimals);
    json.field("error_joules", energy->error_joules, kDecimals).end_object();
}

void write_gpus(base::JsonWriter& json, const std::vector<GpuReport>& gpus) {
    if (gpus.empty()) return;
    json.key("gpus").begin_array();
    for (const GpuReport& gpu : gpus) {
        json.begin_object().field("id", gpu.id);
        write_gauge(json, "busy_percent", gpu.busy_percent);
        write_gauge(json, "watts", gpu.watts);
        write_gauge(json, "celsius", gpu.celsius);
        write_gauge(json, "core_mhz", gpu.core_mhz);
        write_energy(json, "energy", gpu.energy);
        json.field_if("slowed_share", gpu.slowed_share, kDecimals);
        json.end_object();
    }
    json.end_array();
}

}  // namespace

void write_client(base::JsonWriter& json, const ClientHealth& client, const std::string& self_test) {
    json.key("client").begin_object();
    if (client.cpu_share) json.field("cpu_share", *client.cpu_share, 5);
    json.field("peak_memory_bytes", client.peak_memory_bytes);
    if (client.worst_poll_lag) json.field("worst_poll_lag_ms", to_ms(*client.worst_poll_lag), kDecimals);
    if (client.reads) {
        const ReadHealth& reads = *client.reads;
        json.field("reads", reads.reads).field("events", reads.events).field("coalesced", reads.coalesced);
        if (reads.lag) {
            json.key("read_lag").begin_object().field("samples", reads.lag->samples);
            json.field("p50_ms", to_ms(reads.lag->p50), kDecimals).field("p99_ms", to_ms(reads.lag->p99), kDecimals);
            json.field("max_ms", to_ms(reads.lag->max), kDecimals).end_object();
        }
    }
    if (!self_test.empty()) json.key("self_test").raw(self_test);
    json.end_object();
}

void write_host(base::JsonWriter& json, const HostReport& host) {
    json.begin_object().field("span_ms", to_ms(host.span), kDecimals).field("samples", host.samples);
    json.field_if("cpu_busy", host.busy_share, kDecimals);
    json.field_if("cpu_engine", host.engine_share, kDecimals);
    json.field_if("cpu_others", host.others_share, kDecimals);
    json.field_if("cpu_steal", host.steal_share, kDecimals);
    json.field_if("waiting_cpu", host.cpu_pressure, kDecimals);
    json.field_if("waiting_memory", host.memory_pressure, kDecimals);
    json.field_if("waiting_io", host.io_pressure, kDecimals);
    json.field_if("swapped_in_pages", host.swapped_in_pages);
    json.field_if("engine_major_faults", host.engine_major_faults);
    json.field_if("engine_memory_bytes", host.engine_memory_bytes);
    json.field_if("throttle_events", host.throttle_events);
    if (host.quota_throttled) json.field("quota_throttled_ms", to_ms(*host.quota_throttled), kDecimals);
    json.field_if("clock_first_mhz", host.clock_first_mhz, 0);
    json.field_if("clock_last_mhz", host.clock_last_mhz, 0);
    write_energy(json, "cpu_energy", host.cpu_energy);
    write_gauge(json, "cpu_celsius", host.cpu_celsius);
    write_gpus(json, host.gpus);
    write_hiccups(json, host.hiccups);
    json.end_object();
}

void write_preparation(base::JsonWriter& json, const Context& context) {
    json.key("preparation").begin_object().field("warm_up_steady", context.warm_up_steady);
    json.key("warm_up").begin_array();
    for (const RequestRecord& record : context.warm_up) {
        json.begin_object();
        if (!record.events.empty()) json.field("ttft_ms", to_ms(record.events.front().at), kDecimals);
        const auto tokens = metrics::decode_tokens(record);
        const auto time = metrics::decode_time(record);
        if (tokens && time) json.field("tpot_ms", to_ms(*time) / static_cast<double>(*tokens), kDecimals);
        json.end_object();
    }
    json.end_array();
    if (context.cache) {
        json.key("cache_check").begin_object().field("ttft_first_ms", to_ms(context.cache->first), kDecimals);
        json.field("ttft_again_ms", to_ms(context.cache->again), kDecimals);
        json.field("ttft_other_ms", to_ms(context.cache->other), kDecimals);
        json.field("caches", context.cache->caches()).field("defeated", context.cache->defeated()).end_object();
    }
    if (context.quiet) {
        json.key("quiet_check");
        write_host(json, *context.quiet);
    }
    json.end_object();
}

}  // namespace velollm::report
