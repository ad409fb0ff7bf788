// Verdicts about picture files, by any of our networks: broken files are named, the others judged.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "apps/lib/model_file.h"
#include "apps/lib/session.h"
#include "apps/lib/threshold.h"
#include "data/resample.h"

namespace verace::apps {

// One picture's answer, or why there is none.
struct Prediction {
  std::filesystem::path path;
  std::string error;                         // one line; empty: judged
  std::vector<float> logits, probabilities;  // [classes] each
};

struct Predictions {
  std::vector<Prediction> pictures;  // in the order given
  std::vector<std::string> class_names;
  std::optional<ClassIndices> classes;  // of a network that tells real from fake
  int64_t broken = 0;
  // Of all judged pictures together, by the decision's policy; for networks of real and fake only,
  // and none if all are broken.
  std::optional<double> fake_probability;
  // For verdicts in reports: `faces` for a picture, `videos` for all together.
  Decision decision;
};

// Files as they are, folders by the pictures (.jpg .jpeg .png .bmp) below them in the order of
// their names. Throws Error(kInput) naming a folder without pictures; a file that is not there is
// left to predict().
std::vector<std::filesystem::path> expand_pictures(const std::vector<std::string>& arguments);

// One label per line, as many as the network has classes. Throws Error(kInput) naming the file.
std::vector<std::string> read_labels(const std::filesystem::path& path, int64_t classes);

// Where a network's outputs stand for real and fake; empty for networks of other classes.
std::optional<ClassIndices> real_and_fake(const layers::ClassifierOptions& options);

// How pictures become the network's input. kCrop takes the middle square: for networks of real and
// fake all of it, as training does; for others after scaling the shorter side to 256/224 of the
// input size, as in ImageNet's evaluation.
data::FitOptions fit_options(const layers::ClassifierOptions& network, data::Fit fit);

// Asks for the pictures in batches of the session's size; `judged` is called with the number of
// pictures done. `class_names` may be empty: then "class 0" and so on. The decision's temperature
// makes the probabilities of networks of real and fake.
Predictions predict(InferenceSession& session, const std::vector<std::filesystem::path>& paths,
                    const data::FitOptions& fit, std::vector<std::string> class_names,
                    const Decision& decision = {}, const std::function<void(int64_t)>& judged = {});

// Indices of the largest probabilities, the largest first, equal ones by index.
std::vector<int64_t> top_classes(const std::vector<float>& probabilities, int64_t count);

// JSON object: pictures [{path, verdict or class, probabilities {name: p}, logits [..]} or {path,
// error}], top classes as [{class, index, probability}] for networks with more than two classes,
// broken, and verdict and fake_probability over all pictures, threshold {...} (threshold_json.h).
std::string predictions_json(const Predictions& predictions, int64_t top);
// The same for people, one line per picture, or `top` + 1 for networks of many classes.
std::string predictions_text(const Predictions& predictions, int64_t top);

}  // namespace verace::apps
