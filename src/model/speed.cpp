#include "model/speed.h"

namespace velollm::model {

SpeedForecast forecast(const ModelShape&, std::int64_t, std::int64_t, const SpeedGrounds&) {
    return {.missing = "not made yet"};
}

}  // namespace velollm::model
