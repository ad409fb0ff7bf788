// The folder of a run, and the lines of its metrics.
#include "apps/lib/run_folder.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <system_error>

#include "apps/lib/curve.h"
#include "apps/lib/tensorboard/run_events.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/atomic_file.h"

namespace verace::apps {
namespace {

using Json = nlohmann::ordered_json;  // keys in the order of writing: people read these lines

// JSON has no infinity: such a loss is stored as null, and null again when a run goes on.
constexpr double kNotFinite = std::numeric_limits<double>::infinity();

Json optional_number(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

void add_split(Json& line, const std::string& name, const std::optional<SplitMetrics>& split) {
  if (!split) return;
  line[name + "_loss"] = split->loss;
  line[name + "_accuracy"] = split->accuracy;
  for (const SplitFigure& figure : kSplitFigures) {
    line[name + "_" + figure.key] = optional_number((*split).*figure.member);
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
  split.loss = number_at(line, name + "_loss").value_or(kNotFinite);
  split.accuracy = line.at(name + "_accuracy").get<double>();
  for (const SplitFigure& figure : kSplitFigures) {
    split.*figure.member = number_at(line, name + "_" + figure.key);
  }
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
  line["wall_time"] = metrics.wall_time;
  return line.dump();
}

EpochMetrics epoch_from_json(const std::string& text, const std::string& where) {
  try {
    const Json line = Json::parse(text);
    EpochMetrics metrics;
    metrics.epoch = line.at("epoch").get<int64_t>();
    metrics.train_loss = number_at(line, "train_loss").value_or(kNotFinite);
    metrics.train_accuracy = line.at("train_accuracy").get<double>();
    metrics.test = split_at(line, "test");
    metrics.val = split_at(line, "val");
    metrics.seconds = line.at("seconds").get<double>();
    metrics.images_per_second = line.at("images_per_second").get<double>();
    metrics.loader_wait_share = line.at("loader_wait_share").get<double>();
    metrics.learning_rate = line.at("learning_rate").get<double>();
    metrics.wall_time = number_at(line, "wall_time").value_or(0);
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
  tensorboard::write_events(events(), epochs);
}

}  // namespace verace::apps
