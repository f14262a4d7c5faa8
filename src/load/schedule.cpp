#include "load/schedule.h"

namespace velollm::load {

Schedule closed_loop(std::size_t requests, int streams) {
    return {.due = std::vector<Ns>(requests, Ns{0}), .max_in_flight = streams, .closed_loop = true};
}

}  // namespace velollm::load
