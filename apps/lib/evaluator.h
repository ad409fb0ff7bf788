// Judging a classifier on labelled pictures: faces one by one, and videos by their faces together.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "apps/lib/bootstrap.h"
#include "apps/lib/failed_videos.h"
#include "apps/lib/metric_curves.h"
#include "apps/lib/metrics.h"
#include "apps/lib/progress.h"
#include "apps/lib/session.h"
#include "apps/lib/threshold.h"
#include "data/loader.h"

namespace verace::apps {

// One judged picture.
struct EvaluatedFace {
  std::filesystem::path path;
  std::string video;
  int32_t label = 0;       // 0 real, 1 fake
  double probability = 0;  // of being fake
  double loss = 0;         // cross-entropy from the logits
  double margin = 0;       // the logit of fake less that of real, without calibration
  int64_t frame = -1;      // FaceAnswer's
};

// Bootstrap intervals of both levels, and how they were made.
struct EvaluationIntervals {
  BootstrapOptions options;
  Intervals faces, videos;
};

struct Evaluation {
  // Thresholds of the confusions, accuracies and balanced accuracies; policy and temperature.
  Decision decision;
  Metrics faces;                                 // their loss is that of the logits
  Metrics videos;                                // by the decision's policy
  std::optional<EvaluationIntervals> intervals;  // add_intervals
  std::vector<EvaluatedFace> samples;            // in the loader's order
  std::vector<VideoScore> video_scores;          // in order of first appearance
  std::vector<FailedVideo> failed;               // without a verdict
  std::vector<data::BrokenPicture> broken;       // skipped pictures
  double seconds = 0;
  double images_per_second = 0;
  double loader_wait_share = 0;  // of the time, [0, 1]
  bool stopped = false;          // by a signal: samples are only a part
};

// Runs epoch 0 of the loader, which must not shuffle, balance or flip if the order matters. Throws
// Error(kInput) for a network that has other classes than real and fake (named by `model_name`),
// for outputs that are not finite, and for what the loader throws; stops early (with what was
// judged so far) when a stop signal arrived (signals.h).
Evaluation evaluate(InferenceSession& session, data::Loader& loader, const std::string& model_name,
                    const ProgressStyle& progress = {}, const std::string& label = "evaluate",
                    const Decision& decision = {});

// Judges the same answers by other thresholds, another policy or temperature: probabilities, losses
// and all figures are made anew, intervals are dropped.
void set_decision(Evaluation& evaluation, const Decision& decision);

// The faces as metrics and thresholds want them.
std::vector<FaceScore> face_scores(const Evaluation& evaluation);

// The faces' margins and labels, for calibrate().
std::vector<double> face_margins(const Evaluation& evaluation);
std::vector<int32_t> face_labels(const Evaluation& evaluation);

// Sets evaluation.intervals; resamples times about 20 ns per face.
void add_intervals(Evaluation& evaluation, const BootstrapOptions& options);

// Points of the curves of both levels.
MetricCurves face_curves(const Evaluation& evaluation);
MetricCurves video_curves(const Evaluation& evaluation);
// Writes roc.csv, precision_recall.csv and reliability.csv (metric_curves.h) into `folder`, which
// must be there. Atomic, file by file.
void write_curves(const std::filesystem::path& folder, const Evaluation& evaluation);

// The faces as CSV, with a header; names as plot::csv_field() writes them. Atomic.
inline constexpr const char* kFacesCsvHeader = "path,video,label,probability,loss\n";
void write_faces_csv(const std::string& path, const Evaluation& evaluation);

}  // namespace verace::apps
