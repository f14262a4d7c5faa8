#pragma once

#include <vector>

#include "model/speed.h"

namespace velollm::model {

/// Seconds a token of a file in several rounds, and how much of the model it is: bytes read for a token, or blocks.
struct PacePoint {
    double size = 0;
    std::vector<double> seconds;
};

/// A speed with the range that the truth lies in in four cases of five.
struct PaceEstimate {
    SpeedRange tps;
    double leverage = 0;  ///< by how much the error of the line's slope is magnified; 0: the whole model was timed

    /// Half of the range, as a share of the likely speed.
    double half_width() const { return (tps.high - tps.low) / 2 / tps.likely; }
};

/// The speed of a file that was timed itself. The range holds what its rounds differ by, and what files of one kind
/// differ by (kModelError).
PaceEstimate estimate_of(const PacePoint& whole);

/// The speed at `size` from two smaller files: a straight line through their medians. The head of a model is read at
/// another rate than its blocks, and the last block isn't a full one in prefill; a line through two files has both in
/// it, the time of one file alone would not. `small.size` < `large.size` < `size`.
///
/// With l = (size - large) / (large - small), the seconds are large + l (large - small), whose variance is
/// (1 + l)^2 var(large) + l^2 var(small). Not positive seconds, when noise is stronger than the slope, give no speed:
/// all zero.
PaceEstimate estimate_at(double size, const PacePoint& small, const PacePoint& large);

}  // namespace velollm::model
