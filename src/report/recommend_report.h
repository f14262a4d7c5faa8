#pragma once

#include <string>

#include "model/recommend.h"

namespace velollm::report {

/// What a reader should know of the figures beside them.
struct RecommendNotes {
    std::string bandwidth_when;     ///< UTC, of one that was measured before; empty: now, or none
    std::string bandwidth_missing;  ///< why measuring it gave none; empty: it did, or wasn't asked for
    std::string calibration;        ///< why earlier measurements weren't used, or new ones not kept
};

/// The document of schema/velollm-recommendation-1.schema.json, without a newline at its end.
std::string recommendation_json(const model::Recommendation& answer, const RecommendNotes& notes, int indent);

/// The same for people, each line ending in a newline: three models at most, or with `all` every one, those that don't
/// fit with the reason.
std::string recommendation_text(const model::Recommendation& answer, const RecommendNotes& notes, bool all);

}  // namespace velollm::report
