// Judging a classifier.
#include "apps/lib/evaluator.h"

#include <chrono>
#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include "apps/lib/model_file.h"
#include "apps/lib/plot/markup.h"
#include "apps/lib/signals.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/atomic_file.h"

namespace verace::apps {
namespace {

void apply_temperature(double temperature, EvaluatedFace& face) {
  face.probability = calibrated_probability(face.margin, temperature);
  face.loss = calibrated_loss(face.margin, face.label, temperature);
}

void append_faces(const Answers& answers, const data::Batch& batch, const data::Loader& loader,
                  const ClassIndices& classes, Evaluation& evaluation) {
  for (size_t i = 0; i < batch.labels.size(); ++i) {
    const std::span<const float> row(answers.logits.data() + i * 2, 2);
    const auto& sample = loader.samples()[static_cast<size_t>(batch.sample_index[i])];
    if (!std::isfinite(row[0]) || !std::isfinite(row[1])) {
      fail_input(
          text::format("{}: the network answers {} and {}, not finite numbers: its weights are "
                       "broken, train again with a smaller --lr",
                       sample.path.string(), row[0], row[1]));
    }
    EvaluatedFace face;
    face.path = sample.path;
    face.video = sample.video;
    face.frame = sample.frame;
    face.label = batch.labels[i];
    face.probability = answers.probabilities[i * 2 + static_cast<size_t>(classes.fake)];
    face.margin = static_cast<double>(row[static_cast<size_t>(classes.fake)]) -
                  row[static_cast<size_t>(classes.real)];
    face.loss = cross_entropy(row, face.label == data::kFake ? classes.fake : classes.real);
    if (evaluation.decision.calibration) {  // else probability and loss are the network's own
      apply_temperature(evaluation.decision.temperature(), face);
    }
    evaluation.samples.push_back(std::move(face));
  }
}

// Columns of a level.
struct Columns {
  std::vector<double> probabilities, losses;
  std::vector<int32_t> labels;
  std::vector<size_t> video_of;  // positions in Evaluation::video_scores

  ScoredSet set(double threshold) const { return {probabilities, labels, losses, threshold}; }
};

Columns face_columns(const Evaluation& evaluation) {
  Columns columns;
  std::unordered_map<std::string, size_t> index;
  for (const EvaluatedFace& face : evaluation.samples) {
    columns.probabilities.push_back(face.probability);
    columns.losses.push_back(face.loss);
    columns.labels.push_back(face.label);
    columns.video_of.push_back(index.try_emplace(face.video, index.size()).first->second);
  }
  return columns;
}

Columns video_columns(const Evaluation& evaluation) {
  Columns columns;
  for (const VideoScore& video : evaluation.video_scores) {
    columns.probabilities.push_back(video.probability);
    columns.labels.push_back(video.label);
    columns.video_of.push_back(columns.video_of.size());
  }
  return columns;
}

// Videos of which every picture is broken.
void add_unread_videos(const data::Loader& loader, Evaluation& evaluation) {
  std::unordered_set<std::string> known;
  for (const EvaluatedFace& face : evaluation.samples) known.insert(face.video);
  for (const data::BrokenPicture& broken : loader.broken()) {
    const data::Sample& sample = loader.samples()[static_cast<size_t>(broken.sample_index)];
    if (!known.insert(sample.video).second) continue;
    evaluation.failed.push_back(
        {sample.video, sample.label, "all its pictures are broken", broken.message});
  }
}

void fill_metrics(Evaluation& evaluation) {
  evaluation.video_scores = aggregate_videos(face_scores(evaluation), evaluation.decision.policy);
  evaluation.faces = face_columns(evaluation).set(evaluation.decision.faces).metrics();
  evaluation.videos = video_columns(evaluation).set(evaluation.decision.videos).metrics();
}

}  // namespace

Evaluation evaluate(InferenceSession& session, data::Loader& loader, const std::string& model_name,
                    const ProgressStyle& style, const std::string& label,
                    const Decision& decision) {
  const ClassIndices classes = class_indices(session.classifier().options(), model_name);
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  Evaluation evaluation;
  evaluation.decision = decision;
  Progress progress(style, label, "pictures", loader.pictures_per_epoch());
  loader.start_epoch(0);
  data::Batch batch;
  while (stop_signal() == 0 && loader.next(batch)) {
    append_faces(session.run(batch.pixels), batch, loader, classes, evaluation);
    progress.update(static_cast<int64_t>(evaluation.samples.size()));
  }
  progress.finish();
  evaluation.stopped = stop_signal() != 0;
  fill_metrics(evaluation);
  evaluation.broken = loader.broken();
  if (!evaluation.stopped) add_unread_videos(loader, evaluation);  // else they were not reached
  evaluation.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  if (evaluation.seconds > 0) {
    evaluation.images_per_second =
        static_cast<double>(evaluation.samples.size()) / evaluation.seconds;
    evaluation.loader_wait_share = loader.seconds_waited() / evaluation.seconds;
  }
  return evaluation;
}

void set_decision(Evaluation& evaluation, const Decision& decision) {
  const bool calibrated = decision.calibration || evaluation.decision.calibration;
  evaluation.decision = decision;
  evaluation.intervals.reset();
  for (EvaluatedFace& face : evaluation.samples) {
    if (calibrated) apply_temperature(decision.temperature(), face);
  }
  fill_metrics(evaluation);
}

std::vector<FaceScore> face_scores(const Evaluation& evaluation) {
  std::vector<FaceScore> faces;
  for (const EvaluatedFace& face : evaluation.samples) {
    faces.push_back({face.video, face.label, face.probability, face.frame});
  }
  return faces;
}

std::vector<double> face_margins(const Evaluation& evaluation) {
  std::vector<double> margins;
  for (const EvaluatedFace& face : evaluation.samples) margins.push_back(face.margin);
  return margins;
}

std::vector<int32_t> face_labels(const Evaluation& evaluation) {
  std::vector<int32_t> labels;
  for (const EvaluatedFace& face : evaluation.samples) labels.push_back(face.label);
  return labels;
}

void add_intervals(Evaluation& evaluation, const BootstrapOptions& options) {
  const auto intervals = [&options](const Columns& columns, double threshold) {
    return bootstrap_intervals(columns.set(threshold), columns.labels, columns.video_of, options);
  };
  evaluation.intervals = {options, intervals(face_columns(evaluation), evaluation.decision.faces),
                          intervals(video_columns(evaluation), evaluation.decision.videos)};
}

MetricCurves face_curves(const Evaluation& evaluation) {
  const Columns columns = face_columns(evaluation);
  return compute_curves(columns.probabilities, columns.labels);
}

MetricCurves video_curves(const Evaluation& evaluation) {
  return compute_curves(evaluation.video_scores);
}

void write_curves(const std::filesystem::path& folder, const Evaluation& evaluation) {
  const MetricCurves faces = face_curves(evaluation), videos = video_curves(evaluation);
  const auto write = [&folder](const char* name, const std::string& text) {
    weights::write_file_atomically((folder / name).string(), text);
  };
  write("roc.csv", roc_csv(faces, videos));
  write("precision_recall.csv", precision_recall_csv(faces, videos));
  write("reliability.csv", reliability_csv(faces, videos));
}

void write_faces_csv(const std::string& path, const Evaluation& evaluation) {
  std::string text = kFacesCsvHeader;
  for (const EvaluatedFace& face : evaluation.samples) {
    text += text::format(
        "{},{},{},{},{}\n", plot::csv_field(face.path.string()), plot::csv_field(face.video),
        data::kClassNames[static_cast<size_t>(face.label)], face.probability, face.loss);
  }
  weights::write_file_atomically(path, text);
}

}  // namespace verace::apps
