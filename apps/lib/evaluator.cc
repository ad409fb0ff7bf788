// Judging a classifier.
#include "apps/lib/evaluator.h"

#include <chrono>
#include <cmath>

#include "apps/lib/model_file.h"
#include "apps/lib/signals.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/atomic_file.h"

namespace verace::apps {
namespace {

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
    face.label = batch.labels[i];
    face.probability = answers.probabilities[i * 2 + static_cast<size_t>(classes.fake)];
    face.loss = cross_entropy(row, face.label == data::kFake ? classes.fake : classes.real);
    evaluation.samples.push_back(std::move(face));
  }
}

void summarise(Evaluation& evaluation) {
  std::vector<double> probabilities;
  std::vector<int32_t> labels;
  std::vector<FaceScore> faces;
  for (const EvaluatedFace& face : evaluation.samples) {
    probabilities.push_back(face.probability);
    labels.push_back(face.label);
    faces.push_back({face.video, face.label, face.probability});
    evaluation.loss += face.loss;
  }
  if (!faces.empty()) evaluation.loss /= static_cast<double>(faces.size());
  evaluation.faces = compute_metrics(probabilities, labels);
  evaluation.video_scores = aggregate_videos(faces);
  evaluation.videos = compute_metrics(evaluation.video_scores);
}

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

}  // namespace

Evaluation evaluate(InferenceSession& session, data::Loader& loader, const std::string& model_name,
                    const ProgressStyle& style, const std::string& label) {
  const ClassIndices classes = class_indices(session.classifier().options(), model_name);
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  Evaluation evaluation;
  Progress progress(style, label, "pictures", loader.pictures_per_epoch());
  loader.start_epoch(0);
  data::Batch batch;
  while (stop_signal() == 0 && loader.next(batch)) {
    append_faces(session.run(batch.pixels), batch, loader, classes, evaluation);
    progress.update(static_cast<int64_t>(evaluation.samples.size()));
  }
  progress.finish();
  evaluation.stopped = stop_signal() != 0;
  summarise(evaluation);
  evaluation.broken = loader.broken();
  evaluation.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  if (evaluation.seconds > 0) {
    evaluation.images_per_second =
        static_cast<double>(evaluation.samples.size()) / evaluation.seconds;
    evaluation.loader_wait_share = loader.seconds_waited() / evaluation.seconds;
  }
  return evaluation;
}

void write_faces_csv(const std::string& path, const Evaluation& evaluation) {
  std::string text = kFacesCsvHeader;
  for (const EvaluatedFace& face : evaluation.samples) {
    text += text::format("{},{},{},{},{}\n", quoted(face.path.string()), quoted(face.video),
                         data::kClassNames[static_cast<size_t>(face.label)], face.probability,
                         face.loss);
  }
  weights::write_file_atomically(path, text);
}

}  // namespace verace::apps
