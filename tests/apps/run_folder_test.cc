// The run folder: metric lines, refusal of used folders, the curve as a picture.
#include "apps/lib/run_folder.h"

#include <doctest/doctest.h>

#include <cmath>
#include <sstream>

#include <fstream>

#include "apps/lib/curve.h"
#include "tests/apps/training_support.h"

namespace verace::apps::run_folder_test {
namespace {

EpochMetrics sample_epoch(int64_t epoch, bool val) {
  EpochMetrics m;
  m.epoch = epoch;
  m.train_loss = 1.0 / 3 / static_cast<double>(epoch);
  m.train_accuracy = 0.7 + 0.02 * static_cast<double>(epoch);
  m.test = SplitMetrics{65.1, 0.51, 0.5, 0.625, 0.5, std::nullopt};
  if (val)
    m.val = SplitMetrics{0.4, 0.8,  std::nullopt, std::nullopt, 0.75, 0.9,  0.6,
                         0.1, 0.02, 0.3,          0.7,          0.65, 0.15, 0.04};
  m.seconds = 12.5;
  m.images_per_second = 33.25;
  m.loader_wait_share = 0.01;
  m.learning_rate = 1e-4;
  m.wall_time = 1.7e9 + 1.0 / 3;
  return m;
}

int64_t occurrences(const std::string& text, const std::string& part) {
  int64_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST_CASE("a line of metrics is read back in every bit") {
  for (const bool val : {false, true}) {
    const EpochMetrics m = sample_epoch(3, val);
    const std::string line = to_json(m);
    CHECK(line.find('\n') == std::string::npos);
    CHECK(line.starts_with("{\"epoch\":3,\"train_loss\":0.1111"));
    CHECK(contains(line, "\"test_video_auc\":null"));
    const EpochMetrics back = epoch_from_json(line, "x");
    CHECK(back.train_loss == m.train_loss);
    CHECK(back.val.has_value() == val);
    CHECK(back.test->auc == m.test->auc);
    CHECK_FALSE(back.test->video_auc);
    CHECK(to_json(back) == line);
    if (val) {
      CHECK(back.val->average_precision == 0.6);
      CHECK(back.val->video_calibration_error == 0.04);
      CHECK(contains(line, "\"val_video_expected_calibration_error\":0.04"));
    }
  }
}

TEST_CASE("lines of programs that knew fewer figures are read") {
  const EpochMetrics old = epoch_from_json(
      R"({"epoch":1,"train_loss":0.5,"train_accuracy":0.7,"test_loss":0.6,"test_accuracy":0.8,)"
      R"("test_balanced_accuracy":0.75,"test_auc":0.9,"test_video_accuracy":0.8,)"
      R"("test_video_auc":null,"seconds":1,"images_per_second":2,"loader_wait_share":0,)"
      R"("learning_rate":0.001})",
      "x");
  CHECK(old.test->auc == 0.9);
  CHECK(old.wall_time == 0);
  CHECK_FALSE(old.test->equal_error_rate);
}

TEST_CASE("a loss that is not finite stays null when a run goes on") {
  EpochMetrics m = sample_epoch(1, true);
  m.train_loss = m.test->loss = HUGE_VAL;
  const std::string line = to_json(m);
  CHECK(contains(line, "\"train_loss\":null"));
  CHECK(contains(line, "\"test_loss\":null"));
  CHECK(to_json(epoch_from_json(line, "x")) == line);
}

TEST_CASE("a damaged line is refused with its place") {
  CHECK(contains(input_error([] { epoch_from_json("{\"epoch\":1}", "m.jsonl:1"); }), "m.jsonl:1"));
  CHECK(contains(input_error([] { epoch_from_json("[", "m.jsonl:2"); }), "m.jsonl:2"));
}

TEST_CASE("a folder that holds a run is not used for another") {
  const TempFolder temp;
  const std::string path = temp / "a/b";
  const RunFolder folder(path, false);
  CHECK(std::filesystem::is_directory(path));
  folder.write_metrics({sample_epoch(1, false), sample_epoch(2, false)});
  CHECK(occurrences(read_text(path + "/metrics.jsonl"), "\n") == 2);
  CHECK(contains(read_text(path + "/curve.svg"), "</svg>"));
  const std::string message = input_error([&] { RunFolder(path, false); });
  CHECK(contains(message, "metrics.jsonl"));
  CHECK(contains(message, "--overwrite (it has no checkpoint to go on from)"));
  std::ofstream(path + "/previous.safetensors") << "x";
  CHECK(contains(input_error([&] { RunFolder(path, false); }), "go on with --resume"));
  RunFolder(path, true);
  std::ofstream(temp / "file") << "x";
  CHECK(contains(input_error([&] { RunFolder(temp / "file", false); }), "--out"));
}

TEST_CASE("what is in the way of a run's files is found when the folder is taken") {
  // A folder where a file must be; and the folder of the events, which is one already.
  for (const char* name :
       {"config.toml", "metrics.jsonl", "curve.svg", "best.safetensors", "last.safetensors",
        "previous.safetensors", "tensorboard/events.out.tfevents.verace"}) {
    for (const bool may_continue : {false, true}) {
      const TempFolder temp;
      std::filesystem::create_directories(temp / name);
      const std::string message = input_error([&] { RunFolder(temp.path(), may_continue); });
      CHECK(contains(message, (temp / name).string() + ": "));
      CHECK(contains(message, "move away"));
    }
  }
  const TempFolder temp;
  std::ofstream(temp / "tensorboard") << "x";
  const std::string message = input_error([&] { RunFolder(temp.path(), false); });
  CHECK(contains(message, (temp / "tensorboard").string() + ": cannot be made as a folder"));
  const RunFolder good(temp / "good", false);
  CHECK(std::filesystem::is_directory(temp / "good/tensorboard"));
  // Nothing is made in another run's folder.
  std::filesystem::create_directories(temp / "old");
  std::ofstream(temp / "old/metrics.jsonl") << "x";
  CHECK(contains(input_error([&] { RunFolder(temp / "old", false); }), "already holds a run"));
  CHECK_FALSE(std::filesystem::exists(temp / "old/tensorboard"));
}

TEST_CASE("the curve has a line per split and escapes its title") {
  std::vector<EpochMetrics> epochs;
  for (int64_t i = 1; i <= 5; ++i) epochs.push_back(sample_epoch(i, true));
  const std::string svg = curve_svg(epochs, "a<b>&c");
  CHECK(occurrences(svg, "<polyline") == 6);
  CHECK(occurrences(svg, "<circle") == 30);
  CHECK(contains(svg, "a&lt;b&gt;&amp;c"));
  CHECK(occurrences(svg, "class='key'") == 6);  // three in each legend
  CHECK_FALSE(contains(svg, "nan"));
  CHECK_FALSE(contains(svg, "inf"));
  CHECK(occurrences(svg, "<svg") == 1);
}

TEST_CASE("the curve can draw one epoch, many epochs, equal and infinite values") {
  std::vector<EpochMetrics> epochs = {sample_epoch(1, false)};
  epochs[0].train_accuracy = epochs[0].test->accuracy = 1;
  epochs[0].train_loss = epochs[0].test->loss = 0;
  CHECK_FALSE(contains(curve_svg(epochs, ""), "nan"));
  for (int64_t i = 2; i <= 300; ++i) epochs.push_back(sample_epoch(i, false));
  epochs[7].train_loss = HUGE_VAL;
  const std::string svg = curve_svg(epochs, "");
  CHECK_FALSE(contains(svg, "nan"));
  CHECK_FALSE(contains(svg, "inf"));
  CHECK(occurrences(svg, "class='x'") < 30);
  CHECK_THROWS_AS(curve_svg({}, ""), Error);
}

}  // namespace
}  // namespace verace::apps::run_folder_test
