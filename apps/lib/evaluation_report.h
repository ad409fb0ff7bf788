// An evaluation as text and as JSON.
#pragma once

#include <string>

#include "apps/lib/evaluator.h"

namespace verace::apps {

// Mean over videos of -log of the mean probability that their faces give to the truth.
double video_loss(const Evaluation& evaluation);

// Loss, accuracy, balanced accuracy, AUC and confusion of faces and of videos, for people.
std::string evaluation_text(const Evaluation& evaluation);

// JSON object: model, split, faces {...}, videos {...}, broken [...], seconds,
// images_per_second, stopped. Figures that are undefined (a class is missing) are null.
std::string evaluation_json(const Evaluation& evaluation, const std::string& model,
                            const std::string& split);

}  // namespace verace::apps
