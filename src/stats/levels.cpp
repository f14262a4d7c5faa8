#include "stats/levels.h"

#include <algorithm>
#include <cmath>

#include "stats/power.h"
#include "stats/quantile.h"

namespace velollm::stats {

LoadLevels load_levels(const std::vector<std::vector<double>>& loads, double load_cost, double request_cost,
                       std::size_t most, std::size_t centres) {
    LoadLevels out;
    std::vector<double> means;
    double squares = 0.0;
    double counts = 0.0;
    for (const std::vector<double>& requests : loads) {
        if (requests.size() < 2) continue;
        means.push_back(mean(requests));
        squares += deviation(requests) * deviation(requests);
        counts += static_cast<double>(requests.size());
    }
    if (means.size() < 2 || means.size() <= centres) return out;
    const auto used = static_cast<double>(means.size());
    out.within = squares / used;
    const double spread = deviation(means) * deviation(means) * (used - 1.0) / (used - static_cast<double>(centres));
    out.between = std::max(0.0, spread - out.within / (counts / used));
    if (out.between <= 0.0 || request_cost <= 0.0) {
        out.requests = most;
        return out;
    }
    const double best = std::ceil(std::sqrt(load_cost / request_cost * out.within / out.between));
    out.requests = static_cast<std::size_t>(std::clamp(best, 1.0, static_cast<double>(most)));
    return out;
}

}  // namespace velollm::stats
