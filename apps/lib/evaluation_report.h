// An evaluation as text and as JSON.
#pragma once

#include <string>

#include "apps/lib/evaluator.h"

namespace verace::apps {

// A figure of merit for people: "92.50 %" of a share, else "0.9250".
std::string figure_text(double value, bool percent);

// All figures of faces and of videos with their intervals, confusion and thresholds, for people;
// says why a figure is undefined.
std::string evaluation_text(const Evaluation& evaluation);

// JSON object: model, split, threshold {...} (threshold_json.h), faces {...}, videos {...},
// bootstrap {...} or null, failed_videos {count, real, fake, reasons {reason: count},
// accuracy_if_wrong, balanced_accuracy_if_wrong, videos [{video, label or null, reason, detail}]},
// broken [...], seconds, images_per_second, stopped. A level: count, the
// keys of kFigures, undefined (why figures are null, or null), confusion, and with a bootstrap
// intervals {key: [low, high]}. Figures and intervals that are undefined are null.
std::string evaluation_json(const Evaluation& evaluation, const std::string& model,
                            const std::string& split);

}  // namespace verace::apps
