// Judging picture files.
#include "apps/lib/predictor.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>

#include "data/image.h"
#include "data/picture_name.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

// Pixels of the pictures that are to be judged together, and which predictions they belong to.
struct Pending {
  std::vector<uint8_t> pixels;
  std::vector<size_t> index;
};

// With a temperature the probabilities are those of the logits divided by it.
void apply_temperature(const ClassIndices& classes, double temperature, Prediction& picture) {
  const double margin = static_cast<double>(picture.logits[static_cast<size_t>(classes.fake)]) -
                        picture.logits[static_cast<size_t>(classes.real)];
  for (const auto& [index, side] : {std::pair(classes.fake, margin), {classes.real, -margin}}) {
    picture.probabilities[static_cast<size_t>(index)] =
        static_cast<float>(calibrated_probability(side, temperature));
  }
}

void judge(InferenceSession& session, Pending& pending, Predictions& result) {
  if (pending.index.empty()) return;
  const Answers answers = session.run(pending.pixels);
  const int64_t classes = session.class_count();
  for (size_t i = 0; i < pending.index.size(); ++i) {
    Prediction& picture = result.pictures[pending.index[i]];
    const auto first = static_cast<int64_t>(i) * classes;
    picture.logits.assign(answers.logits.begin() + first, answers.logits.begin() + first + classes);
    picture.probabilities.assign(answers.probabilities.begin() + first,
                                 answers.probabilities.begin() + first + classes);
    for (const float logit : picture.logits) {
      if (!std::isfinite(logit)) {
        fail_input(picture.path.string() +
                   ": the network's answer is not a finite number: its weights are broken");
      }
    }
    if (result.classes && result.decision.calibration) {
      apply_temperature(*result.classes, result.decision.temperature(), picture);
    }
  }
  pending = {};
}

void judge_together(Predictions& result) {
  std::vector<FaceAnswer> faces;
  for (const Prediction& picture : result.pictures) {
    if (!picture.error.empty()) {
      ++result.broken;
    } else if (result.classes) {
      faces.push_back({picture.probabilities[static_cast<size_t>(result.classes->fake)]});
    }
  }
  result.fake_probability = video_probability(faces, result.decision.policy);
}

}  // namespace

std::vector<std::filesystem::path> expand_pictures(const std::vector<std::string>& arguments) {
  namespace fs = std::filesystem;
  std::vector<fs::path> paths;
  for (const std::string& argument : arguments) {
    std::error_code error;
    if (!fs::is_directory(argument, error)) {
      paths.emplace_back(argument);
      continue;
    }
    std::vector<fs::path> found;
    fs::recursive_directory_iterator entry(argument, error);
    for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
      std::error_code ignored;
      if (data::is_picture_name(entry->path()) && !fs::is_directory(entry->path(), ignored)) {
        found.push_back(entry->path());
      }
    }
    if (error)
      fail_input(text::format("{}: cannot read the folder: {}", argument, error.message()));
    if (found.empty()) {
      fail_input(argument + ": no picture (.jpg .jpeg .png .bmp) in this folder or below");
    }
    std::ranges::sort(found);
    paths.insert(paths.end(), found.begin(), found.end());
  }
  return paths;
}

std::vector<std::string> read_labels(const std::filesystem::path& path, int64_t classes) {
  std::ifstream file(path);
  if (!file) fail_input(text::format("--labels {}: cannot be read", path.string()));
  std::vector<std::string> labels;
  for (std::string line; std::getline(file, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    for (char& c : line) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    }
    labels.push_back(line);
  }
  while (!labels.empty() && labels.back().empty()) labels.pop_back();
  if (static_cast<int64_t>(labels.size()) != classes) {
    fail_input(
        text::format("--labels {}: {} lines, but the network has {} classes: give one label "
                     "per line",
                     path.string(), labels.size(), classes));
  }
  return labels;
}

std::optional<ClassIndices> real_and_fake(const layers::ClassifierOptions& options) {
  try {
    return class_indices(options, "");
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::kInput) throw;
    return std::nullopt;
  }
}

data::FitOptions fit_options(const layers::ClassifierOptions& network, data::Fit fit) {
  data::FitOptions options;
  options.size = network.input_size;
  options.fit = fit;
  if (fit == data::Fit::kCrop && !real_and_fake(network)) {
    options.short_side = (network.input_size * 256 + 112) / 224;
  }
  return options;
}

Predictions predict(InferenceSession& session, const std::vector<std::filesystem::path>& paths,
                    const data::FitOptions& fit, std::vector<std::string> class_names,
                    const Decision& decision, const std::function<void(int64_t)>& judged) {
  Predictions result;
  result.decision = decision;
  result.classes = real_and_fake(session.classifier().options());
  result.class_names = std::move(class_names);
  if (result.class_names.empty()) {
    for (int64_t i = 0; i < session.class_count(); ++i) {
      result.class_names.push_back(text::format("class {}", i));
    }
  }
  VERACE_CHECK(static_cast<int64_t>(result.class_names.size()) == session.class_count());
  result.pictures.resize(paths.size());
  Pending pending;
  for (size_t i = 0; i < paths.size(); ++i) {
    result.pictures[i].path = paths[i];
    try {
      const data::Image image =
          data::fit_to_square(data::read_image(paths[i]), fit, paths[i].string());
      pending.pixels.insert(pending.pixels.end(), image.rgb.begin(), image.rgb.end());
      pending.index.push_back(i);
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::kInput) throw;
      result.pictures[i].error = e.what();
    }
    if (static_cast<int64_t>(pending.index.size()) == session.max_batch()) {
      judge(session, pending, result);
      if (judged) judged(static_cast<int64_t>(i) + 1);
    }
  }
  judge(session, pending, result);
  if (judged) judged(static_cast<int64_t>(paths.size()));
  judge_together(result);
  return result;
}

std::vector<int64_t> top_classes(const std::vector<float>& probabilities, int64_t count) {
  std::vector<int64_t> order(probabilities.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](int64_t a, int64_t b) {
    return probabilities[static_cast<size_t>(a)] > probabilities[static_cast<size_t>(b)];
  });
  order.resize(std::min(order.size(), static_cast<size_t>(count)));
  return order;
}

}  // namespace verace::apps
