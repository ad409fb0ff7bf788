// The threshold between real and fake: chosen on validation data for a false-positive rate, stored
// with the model, used for verdicts.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>

#include "apps/lib/calibration.h"
#include "apps/lib/metrics.h"
#include "apps/lib/video_verdict.h"
#include "data/resample.h"

namespace verace::apps {

// A threshold and what it gave on the data that it was chosen on.
struct LevelThreshold {
  double value = kFakeThreshold;             // fake above it; in [0, 1]
  double false_positive_rate = 0;            // share of reals above it, at most the rate asked for
  std::optional<double> true_positive_rate;  // share of fakes above it; empty: no fakes
  int64_t reals = 0, fakes = 0;              // samples
};

// The threshold with the largest false-positive rate that is not above `rate`. Of all thresholds
// that give the same verdicts it is the middle one (half way to the next higher score, or to 1), so
// that a score that is computed a little differently elsewhere keeps its verdict. rate in [0, 1).
// With n reals only multiples of 1/n can be told apart. Throws Error(kInput) naming --fpr without
// reals, and as ScoredSet.
LevelThreshold choose_threshold(std::span<const double> probabilities,
                                std::span<const int32_t> labels, double rate);

// What is stored with a model: thresholds of single faces and of videos (by a policy), which have
// rates of their own, and where they come from.
struct ChosenThresholds {
  double rate = 0;          // the false-positive rate asked for
  std::string data, split;  // name of the folder or file, without its path; "val"
  LevelThreshold faces, videos;
  std::optional<data::PictureFit> fit;  // of the pictures; empty in files of older programs
  VideoPolicy policy;      // that the videos were judged by; its face_threshold is faces.value
  double temperature = 1;  // that the probabilities were calibrated with
};
// `fit`: how the judged pictures became square; `policy`: how faces became videos (its
// face_threshold plays no part: the one of faces is chosen first); `temperature`: that the faces'
// probabilities were made with. Throws Error(kInput) as choose_threshold and aggregate_videos.
ChosenThresholds choose_thresholds(std::span<const FaceScore> faces, double rate,
                                   const std::string& data, const std::string& split,
                                   const data::PictureFit& fit, const VideoPolicy& policy = {},
                                   double temperature = 1);

// In model files: JSON under this metadata key, with a version of its own. Files without it are
// judged at kFakeThreshold; programs that do not know it take no notice. Thresholds of calibrated
// probabilities or of another policy than the mean have version 2, so that programs that know
// neither refuse them instead of comparing other numbers with them.
inline constexpr const char* kThresholdKey = "verace.threshold";
std::string thresholds_to_metadata(const ChosenThresholds& thresholds);
// Empty without the key. Throws Error(kInput) naming `path` and the key for what cannot be read.
std::optional<ChosenThresholds> thresholds_in_metadata(
    const std::map<std::string, std::string>& metadata, const std::string& path);

// What was asked for by flags: --threshold, --policy, --per-frame.
struct DecisionFlags {
  std::optional<double> threshold = {};  // for both levels
  std::optional<Policy> policy = {};
  std::optional<PerFrame> per_frame = {};
};

// What verdicts go by, and why.
struct Decision {
  enum class Source { kDefault, kModel, kFlag };
  double faces = kFakeThreshold, videos = kFakeThreshold;
  Source source = Source::kDefault;        // of the thresholds
  std::optional<ChosenThresholds> chosen;  // what the model holds, used or not
  VideoPolicy policy;                      // its face_threshold is `faces`
  std::optional<Calibration> calibration;  // what the model holds; always used

  double temperature() const { return calibration ? calibration->temperature : 1; }
  // The model's threshold of videos is for another policy: videos is kFakeThreshold.
  bool videos_by_default() const {
    return source == Source::kModel && !policy.same_kind(chosen->policy);
  }
};
// What a flag says, else what the model holds, else the defaults.
Decision decide(const DecisionFlags& flags, const std::optional<ChosenThresholds>& stored,
                const std::optional<Calibration>& calibration = {});

// For people, one line without line break: "fake above 0.7 (...)".
std::string decision_text(const Decision& decision);
// Says that a threshold in use was chosen on pictures that became square in another way, or
// nothing.
std::string fit_warning(const Decision& decision, const data::PictureFit& fit);
// Says that the threshold of videos was chosen for another policy and is not in use, or nothing.
std::string policy_warning(const Decision& decision);
// One level's threshold and rates, one line: "fake above 0.7: false-positive rate 0.05 of 20 ...".
std::string level_text(const LevelThreshold& level);

}  // namespace verace::apps
