// What a training run leaves behind: RUN/config.toml, metrics.jsonl, curve.svg, best.safetensors,
// last.safetensors, previous.safetensors (checkpoint_files.h) and tensorboard/; for its report
// run.json, evaluation.json and profile.json (trainer_record.h). Every file is written under a
// temporary name and renamed when complete, except events for TensorBoard (tensorboard/run_events.h
// says why).
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace verace::apps {

// What evaluation says of one split after an epoch. Face level unless named otherwise.
struct SplitMetrics {
  double loss = 0, accuracy = 0;
  std::optional<double> balanced_accuracy, auc;
  std::optional<double> video_accuracy, video_auc;
  // Empty also in lines of older programs.
  std::optional<double> average_precision{}, equal_error_rate{}, calibration_error{};
  std::optional<double> video_loss{}, video_balanced_accuracy{}, video_average_precision{};
  std::optional<double> video_equal_error_rate{}, video_calibration_error{};
};

// The figures of a split that may be missing, in the order of writing.
struct SplitFigure {
  const char* key;
  std::optional<double> SplitMetrics::*member;
};
inline constexpr std::array<SplitFigure, 12> kSplitFigures = {
    {{"balanced_accuracy", &SplitMetrics::balanced_accuracy},
     {"auc", &SplitMetrics::auc},
     {"video_accuracy", &SplitMetrics::video_accuracy},
     {"video_auc", &SplitMetrics::video_auc},
     {"average_precision", &SplitMetrics::average_precision},
     {"equal_error_rate", &SplitMetrics::equal_error_rate},
     {"expected_calibration_error", &SplitMetrics::calibration_error},
     {"video_loss", &SplitMetrics::video_loss},
     {"video_balanced_accuracy", &SplitMetrics::video_balanced_accuracy},
     {"video_average_precision", &SplitMetrics::video_average_precision},
     {"video_equal_error_rate", &SplitMetrics::video_equal_error_rate},
     {"video_expected_calibration_error", &SplitMetrics::video_calibration_error}}};

// One line of metrics.jsonl. Keys: epoch, train_loss, train_accuracy, {test,val}_{loss, accuracy,
// balanced_accuracy, auc, video_accuracy, video_auc, average_precision, equal_error_rate,
// expected_calibration_error, video_loss, video_balanced_accuracy, video_average_precision,
// video_equal_error_rate, video_expected_calibration_error} (null where one class is missing),
// seconds, images_per_second, loader_wait_share, learning_rate, wall_time; in fp16 training also
// loss_scale and skipped_steps.
struct EpochMetrics {
  int64_t epoch = 0;  // from 1
  double train_loss = 0, train_accuracy = 0;
  std::optional<SplitMetrics> test, val;
  double seconds = 0;            // of the training part
  double images_per_second = 0;  // of the training part
  double loader_wait_share = 0;  // of that time, [0, 1]
  double learning_rate = 0;
  // fp16 training only: the loss scale after the epoch, and its steps that overflowed.
  std::optional<double> loss_scale{};
  std::optional<int64_t> skipped_steps{};
  // When the epoch was finished, in seconds since 1970; 0 in lines of older programs.
  double wall_time = 0;
};

// One line, without its line break; and back. Error(kInput) naming `where` also for numbers that no
// run has: shares outside of [0, 1], negative losses, an epoch below 1 or above 10^9.
std::string to_json(const EpochMetrics& metrics);
EpochMetrics epoch_from_json(const std::string& line, const std::string& where);

class RunFolder {
 public:
  // Makes the folder (and its parents) and tensorboard/ in it if needed. Throws Error(kInput) when
  // they cannot be made, when a file is in the way of a folder or the other way round, so that no
  // epoch is trained in vain, or when the folder already holds a run's metrics or weights and
  // `may_continue` is false. Removes temporary files that killed processes have left.
  RunFolder(const std::filesystem::path& folder, bool may_continue);

  std::filesystem::path config() const { return folder_ / "config.toml"; }
  std::filesystem::path metrics() const { return folder_ / "metrics.jsonl"; }
  std::filesystem::path curve() const { return folder_ / "curve.svg"; }
  std::filesystem::path best() const { return folder_ / "best.safetensors"; }
  std::filesystem::path last() const { return folder_ / "last.safetensors"; }
  std::filesystem::path previous() const { return folder_ / "previous.safetensors"; }
  // One file a run, of the same name when it goes on.
  std::filesystem::path events() const {
    return folder_ / "tensorboard" / "events.out.tfevents.verace";
  }
  const std::filesystem::path& folder() const { return folder_; }

  // Replaces metrics.jsonl and curve.svg, and brings tensorboard/ to the same state.
  void write_metrics(const std::vector<EpochMetrics>& epochs) const;
  // The same where a run goes on, which may be from an earlier epoch than the files are of: later
  // lines go, missing ones are added, files that fit already stay untouched.
  void fit_metrics(const std::vector<EpochMetrics>& epochs) const;

 private:
  void require_no_obstacle() const;
  void refuse_other_run() const;

  std::filesystem::path folder_;
};

}  // namespace verace::apps
