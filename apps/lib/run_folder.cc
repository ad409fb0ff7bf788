// The folder of a run, and the lines of its metrics.
#include "apps/lib/run_folder.h"

#include <fstream>
#include <iterator>
#include <limits>
#include <system_error>

#include "apps/lib/curve.h"
#include "apps/lib/tensorboard/run_events.h"
#include "apps/lib/versioned_json.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/atomic_file.h"

namespace verace::apps {
namespace {

// JSON has no infinity: such a loss is stored as null, and null again when a run goes on.
constexpr double kNotFinite = std::numeric_limits<double>::infinity();

void add_split(Json& line, const std::string& name, const std::optional<SplitMetrics>& split) {
  if (!split) return;
  line[name + "_loss"] = split->loss;
  line[name + "_accuracy"] = split->accuracy;
  for (const SplitFigure& figure : kSplitFigures) {
    line[name + "_" + figure.key] = number_or_null((*split).*figure.member);
  }
}

std::string lines_of(const std::vector<EpochMetrics>& epochs) {
  std::string lines;
  for (const EpochMetrics& epoch : epochs) lines += to_json(epoch) + "\n";
  return lines;
}

// What no run reaches, and what sums and plots can still take.
constexpr double kMostRate = 1e15;
constexpr int64_t kMostEpochs = 1'000'000'000;

std::optional<double> number_at(const JsonReader& line, const std::string& key, double most) {
  if (!line.has(key.c_str()) || line.is_null(key.c_str())) return std::nullopt;
  return line.number(key.c_str(), 0, most);
}

std::optional<SplitMetrics> split_at(const JsonReader& line, const std::string& name) {
  if (!line.has((name + "_loss").c_str())) return std::nullopt;
  SplitMetrics split;
  split.loss = number_at(line, name + "_loss", kMostLoss).value_or(kNotFinite);
  split.accuracy = line.number((name + "_accuracy").c_str(), 0, 1);
  for (const SplitFigure& figure : kSplitFigures) {
    const bool share = figure.member != &SplitMetrics::video_loss;
    split.*figure.member = number_at(line, name + "_" + figure.key, share ? 1 : kMostLoss);
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
  if (metrics.loss_scale) line["loss_scale"] = *metrics.loss_scale;
  if (metrics.skipped_steps) line["skipped_steps"] = *metrics.skipped_steps;
  line["wall_time"] = metrics.wall_time;
  return line.dump();
}

EpochMetrics epoch_from_json(const std::string& text, const std::string& where) {
  std::string why;
  try {
    const Json parsed = Json::parse(text);
    const JsonReader line(parsed);
    EpochMetrics metrics;
    metrics.epoch = line.count("epoch", kMostEpochs);
    if (metrics.epoch == 0) throw BadJson("epoch is not what it should be");
    line.at("train_loss");
    metrics.train_loss = number_at(line, "train_loss", kMostLoss).value_or(kNotFinite);
    metrics.train_accuracy = line.number("train_accuracy", 0, 1);
    metrics.test = split_at(line, "test");
    metrics.val = split_at(line, "val");
    metrics.seconds = line.number("seconds", 0, kMostSeconds);
    metrics.images_per_second = line.number("images_per_second", 0, kMostRate);
    metrics.loader_wait_share = line.number("loader_wait_share", 0, 1);
    metrics.learning_rate = line.number("learning_rate", 0, std::numeric_limits<double>::max());
    if (line.has("loss_scale")) {
      metrics.loss_scale = line.number("loss_scale", 0, std::numeric_limits<float>::max());
    }
    if (line.has("skipped_steps")) metrics.skipped_steps = line.count("skipped_steps");
    metrics.wall_time = number_at(line, "wall_time", kMostSeconds).value_or(0);
    return metrics;
  } catch (const BadJson& error) {
    why = error.what();
  } catch (const Json::exception&) {
    why = "not JSON";
  }
  fail_input(text::format("{}: not a line of metrics ({}): use the file as training wrote it",
                          where, why));
}

void remove_abandoned_files_of_run(const std::filesystem::path& folder) {
  for (const char* below : {"", "tensorboard", "figures"}) {
    weights::remove_abandoned_files((folder / below).string());
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
  require_no_obstacle();
  if (!may_continue) refuse_other_run();
  tensorboard::make_event_folder(events());
  remove_abandoned_files_of_run(folder_);
}

void RunFolder::refuse_other_run() const {
  std::error_code error;
  const bool stored =
      std::filesystem::exists(last(), error) || std::filesystem::exists(previous(), error);
  for (const std::filesystem::path& file : {metrics(), best(), last(), previous()}) {
    if (!std::filesystem::exists(file, error)) continue;
    fail_input(
        text::format("--out {}: already holds a run ({}): choose another folder, or {}",
                     folder_.string(), file.filename().string(),
                     stored ? "go on with --resume " + last().string()
                            : "replace it with --overwrite (it has no checkpoint to go on from)"));
  }
}

void RunFolder::require_no_obstacle() const {
  std::error_code error;
  for (const std::filesystem::path& file :
       {config(), metrics(), curve(), best(), last(), previous()}) {
    const auto status = std::filesystem::status(file, error);
    if (!std::filesystem::exists(status) || std::filesystem::is_regular_file(status)) continue;
    fail_input(text::format("{}: is no regular file: move away what is in the way", file.string()));
  }
}

void RunFolder::write_metrics(const std::vector<EpochMetrics>& epochs) const {
  weights::write_file_atomically(metrics().string(), lines_of(epochs));
  if (epochs.empty()) return;
  // The name alone: pictures get around, and the path to them is nobody's business.
  const std::filesystem::path name =
      std::filesystem::absolute(folder_ / "x").lexically_normal().parent_path().filename();
  weights::write_file_atomically(curve().string(), curve_svg(epochs, name.string()));
  tensorboard::write_events(events(), epochs);
}

void RunFolder::fit_metrics(const std::vector<EpochMetrics>& epochs) const {
  std::error_code error;
  if (epochs.empty()) {  // as in a run whose first epoch is not over
    for (const std::filesystem::path& file : {metrics(), curve(), events()}) {
      if (std::filesystem::remove(file, error) || !error) continue;
      fail_input(
          text::format("{}: is of a later epoch than the run goes on from, and cannot be "
                       "removed ({}): check the folder's permissions",
                       file.string(), error.message()));
    }
    return;
  }
  std::ifstream file(metrics(), std::ios::binary);
  const std::string present(std::istreambuf_iterator<char>(file), {});
  if (present != lines_of(epochs) || !std::filesystem::exists(curve(), error)) {
    write_metrics(epochs);
  } else {
    tensorboard::write_events(events(), epochs);
  }
}

}  // namespace verace::apps
