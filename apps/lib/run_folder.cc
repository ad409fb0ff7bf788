// The folder of a run, and the lines of its metrics.
#include "apps/lib/run_folder.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <system_error>

#include "apps/lib/curve.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/atomic_file.h"

namespace verace::apps {
namespace {

using Json = nlohmann::ordered_json;  // keys in the order of writing: people read these lines

// All that may be null.
struct SplitKey {
  const char* name;
  std::optional<double> SplitMetrics::*member;
};
constexpr SplitKey kSplitKeys[] = {
    {"_balanced_accuracy", &SplitMetrics::balanced_accuracy},
    {"_auc", &SplitMetrics::auc},
    {"_video_accuracy", &SplitMetrics::video_accuracy},
    {"_video_auc", &SplitMetrics::video_auc},
    {"_average_precision", &SplitMetrics::average_precision},
    {"_equal_error_rate", &SplitMetrics::equal_error_rate},
    {"_expected_calibration_error", &SplitMetrics::calibration_error},
    {"_video_loss", &SplitMetrics::video_loss},
    {"_video_balanced_accuracy", &SplitMetrics::video_balanced_accuracy},
    {"_video_average_precision", &SplitMetrics::video_average_precision},
    {"_video_equal_error_rate", &SplitMetrics::video_equal_error_rate},
    {"_video_expected_calibration_error", &SplitMetrics::video_calibration_error}};

Json optional_number(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

void add_split(Json& line, const std::string& name, const std::optional<SplitMetrics>& split) {
  if (!split) return;
  line[name + "_loss"] = split->loss;
  line[name + "_accuracy"] = split->accuracy;
  for (const SplitKey& key : kSplitKeys) {
    line[name + key.name] = optional_number((*split).*key.member);
  }
}

std::optional<double> number_at(const Json& line, const std::string& key) {
  const auto found = line.find(key);
  if (found == line.end() || found->is_null()) return std::nullopt;
  return found->get<double>();
}

std::optional<SplitMetrics> split_at(const Json& line, const std::string& name) {
  if (!line.contains(name + "_loss")) return std::nullopt;
  SplitMetrics split;
  split.loss = number_at(line, name + "_loss").value_or(HUGE_VAL);  // JSON has no infinity
  split.accuracy = line.at(name + "_accuracy").get<double>();
  for (const SplitKey& key : kSplitKeys) split.*key.member = number_at(line, name + key.name);
  return split;
}

}  // namespace

std::string to_json(const EpochMetrics& metrics) {
  Json line;
  line["epoch"] = metrics.epoch;
  line["train_loss"] = metrics.train_loss;
  line["train_accuracy"] = metrics.train_accuracy;
  add_split(line, "test", metrics.test);
  add_split(line, "val", metrics.val);
  line["seconds"] = metrics.seconds;
  line["images_per_second"] = metrics.images_per_second;
  line["loader_wait_share"] = metrics.loader_wait_share;
  line["learning_rate"] = metrics.learning_rate;
  return line.dump();
}

EpochMetrics epoch_from_json(const std::string& text, const std::string& where) {
  try {
    const Json line = Json::parse(text);
    EpochMetrics metrics;
    metrics.epoch = line.at("epoch").get<int64_t>();
    metrics.train_loss = number_at(line, "train_loss").value_or(HUGE_VAL);
    metrics.train_accuracy = line.at("train_accuracy").get<double>();
    metrics.test = split_at(line, "test");
    metrics.val = split_at(line, "val");
    metrics.seconds = line.at("seconds").get<double>();
    metrics.images_per_second = line.at("images_per_second").get<double>();
    metrics.loader_wait_share = line.at("loader_wait_share").get<double>();
    metrics.learning_rate = line.at("learning_rate").get<double>();
    return metrics;
  } catch (const nlohmann::json::exception& error) {
    fail_input(text::format("{}: not a line of metrics ({}): use the file as training wrote it",
                            where, error.what()));
  }
}

RunFolder::RunFolder(const std::filesystem::path& folder, bool may_continue) : folder_(folder) {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error || !std::filesystem::is_directory(folder_, error)) {
    fail_input(text::format("--out {}: cannot be made as a folder ({}): choose another name",
                            folder_.string(),
                            error ? error.message() : "a file of this name is in the way"));
  }
  if (may_continue) return;
  for (const std::filesystem::path& file : {metrics(), best(), last()}) {
    if (std::filesystem::exists(file, error)) {
      fail_input(
          text::format("--out {}: already holds a run ({}): choose another folder, or go on "
                       "with --resume {}",
                       folder_.string(), file.filename().string(), last().string()));
    }
  }
}

void RunFolder::write_metrics(const std::vector<EpochMetrics>& epochs) const {
  std::string lines;
  for (const EpochMetrics& epoch : epochs) lines += to_json(epoch) + "\n";
  weights::write_file_atomically(metrics().string(), lines);
  if (epochs.empty()) return;
  // The name alone: pictures get around, and the path to them is nobody's business.
  const std::filesystem::path name =
      std::filesystem::absolute(folder_ / "x").parent_path().filename();
  weights::write_file_atomically(curve().string(), curve_svg(epochs, name.string()));
}

}  // namespace verace::apps
