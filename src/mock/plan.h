#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "mock/asked.h"
#include "serde/mock_script.h"

namespace velollm::mock {

/// Bytes that leave in one write() at an instant that doesn't depend on how late the ones before were.
struct PlannedWrite {
    std::int64_t due_ns = 0;   ///< after the last byte of the request had been read
    std::size_t end = 0;       ///< they end here in Plan::bytes, and begin where the ones before end
    std::uint32_t events = 0;  ///< events that are complete with this write and carry tokens
    std::uint32_t tokens = 0;
    bool with_previous = false;  ///< may share the write() of the one before, if both are due
};

enum class PlanEnd { kKeep, kClose, kReset, kStall };

/// An answer, rendered to its last byte before its first one is sent.
struct Plan {
    std::string bytes;
    std::vector<PlannedWrite> writes;  ///< due_ns never falls
    PlanEnd end = PlanEnd::kKeep;
    int status = 200;
};

struct PlanContext {
    std::string model;
    std::int64_t index = 0;    ///< of the generate request, from 0
    std::int64_t wall_ns = 0;  ///< since 1970
    bool keep_alive = true;    ///< what the client wants
};

/// The answer of `script` to a request. Pure: the same arguments give the same bytes.
Plan make_plan(const Script& script, Wire wire, const Asked& asked, const PlanContext& context);

/// An answer that is no stream and is due at once.
Plan plain_plan(Wire wire, int status, std::string_view type, std::string_view body, bool keep_alive);

}  // namespace velollm::mock
