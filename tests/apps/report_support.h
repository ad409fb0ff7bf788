// A run's folder for the tests of reports: made of known numbers by the functions that write real
// ones.
#pragma once

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "apps/lib/attack_runner.h"
#include "apps/lib/evaluation_record.h"
#include "apps/lib/report/report.h"
#include "apps/lib/run_folder.h"
#include "apps/lib/run_record.h"
#include "apps/lib/step_profile.h"
#include "data/image.h"
#include "kernels/format.h"
#include "tests/support/files.h"

namespace verace::apps {

namespace fs = std::filesystem;
using test::read_text;
using test::write_text;

inline std::vector<EpochMetrics> known_epochs() {
  std::vector<EpochMetrics> epochs;
  for (int64_t i = 1; i <= 3; ++i) {
    EpochMetrics m;
    m.epoch = i;
    m.train_loss = 0.9 / static_cast<double>(i);
    m.train_accuracy = 0.6 + 0.1 * static_cast<double>(i);
    m.test = SplitMetrics{0.8, 0.7, 0.7, 0.75, 0.5, std::nullopt};
    m.seconds = 2;
    m.images_per_second = 10;
    m.learning_rate = 1e-3;
    epochs.push_back(m);
  }
  return epochs;
}

// A line of metrics.jsonl with all keys.
inline nlohmann::json known_line() {
  EpochMetrics m = known_epochs()[0];
  m.test = m.val =
      SplitMetrics{0.4, 0.8, 0.8, 0.8, 0.75, 0.9, 0.6, 0.1, 0.02, 0.3, 0.7, 0.65, 0.15, 0.04};
  return nlohmann::json::parse(to_json(m));
}

// Four videos of two faces. By 0.7: real 3 right, 1 wrong; fake 2 right, 2 wrong.
inline Evaluation known_evaluation() {
  Evaluation e;
  const auto add = [&e](const char* video, int32_t label, double probability) {
    e.samples.push_back({fs::path(video) / "face.png", video, label, probability, 0.5});
  };
  for (const double p : {0.10, 0.65}) add("a", 0, p);
  for (const double p : {0.30, 0.90}) add("b", 0, p);
  for (const double p : {0.75, 0.60}) add("c", 1, p);
  for (const double p : {0.95, 0.40}) add("d", 1, p);
  ChosenThresholds chosen;
  chosen.rate = 0.25;
  chosen.data = "data";
  chosen.split = "val";
  chosen.faces.value = 0.7;
  chosen.videos.value = 0.55;
  set_decision(e, decide({}, chosen));
  add_intervals(e, {});
  return e;
}

inline Profile known_profile() {
  StepProfile step;
  step.pictures = 4;
  step.runs = 3;
  step.operations = {{"a forward", "conv forward", 2000, 4'000'000},
                     {"b forward", "relu", 500, 0},
                     {"a backward", "conv forward", 1000, 2'000'000}};
  step.memory.arena = 6'000'000;
  step.memory.unshared = 9'000'000;
  step.buffers = {{"x", 2'000'000, 0, 0, 3},
                  {"y", 4'000'000, 2'000'000, 0, 1},
                  {"z", 3'000'000, 2'000'000, 2, 2}};
  return {step, step};
}

inline RunRecord known_record() {
  RunRecord record;
  record.kind = "train";
  record.command = {"/somewhere/private/verace", "train", "--data", "/somewhere/private/faces"};
  record.started = "2026-01-31T12:00:00Z";
  record.seconds = 75;
  record.finished = true;
  record.seed = 17;
  record.device = "cpu";
  record.threads = 2;
  record.epochs = 3;
  record.best_epoch = 2;
  record.steps = 30;
  record.parameters = 1'500'000;
  record.environment = {{"processor", "a processor"}};
  return record;
}

// attack.json with the epsilons out of order, and two pictures of a gallery. `eps_0.02` is the one
// whose flipped rate reaches one half.
inline void write_known_attack(const fs::path& folder) {
  AttackResult result;
  result.count = 2;
  result.accuracy_before = 0.9;
  result.figures = {{0.05, 0.10, 0.9, 0.9, 0.0025, 0.05, 0.11},
                    {0.01, 0.80, 0.2, 0.1, 0.0001, 0.01, 0.81},
                    {0.02, 0.30, 0.7, 0.6, 0.0004, 0.02, 0.31}};
  for (int32_t i = 0; i < 2; ++i) {
    AttackRecord record;
    record.path = fs::path("/somewhere/private") / (i == 0 ? "one.png" : "two.png");
    record.label = i;
    record.probability_before = i == 0 ? 0.2 : 0.8;
    record.after = {0.6, 0.25, 0.55};
    record.after_8bit = {0.61, 0.26, 0.56};
    data::Image image{8, 8, std::vector<uint8_t>(8 * 8 * 3, 100)};
    const auto store = [&](const std::string& below, int change) {
      for (size_t k = 0; k < image.rgb.size(); ++k) {
        image.rgb[k] = static_cast<uint8_t>(100 + (k % 2 == 0 ? change : -change));
      }
      const fs::path path = folder / below / text::format("{}.png", i);
      fs::create_directories(path.parent_path());
      data::write_png(path, image, data::Durability::kFast);
      return path;
    };
    record.before = store("before", 0);
    record.stored = {store("eps_0.05", 13), store("eps_0.01", 3), store("eps_0.02", 5)};
    result.records.push_back(record);
  }
  write_text(folder / "attack.json", attack_json(result, "model", folder));
}

inline void write_known_run(const fs::path& folder) {
  std::string lines;
  for (const EpochMetrics& epoch : known_epochs()) lines += to_json(epoch) + "\n";
  write_text(folder / "metrics.jsonl", lines);
  write_text(folder / "config.toml", "data = '/somewhere/private/faces.csv'\nepochs = 3\n");
  write_text(folder / "run.json", run_record_json(known_record()));
  write_text(folder / "evaluation.json",
             evaluation_record_json(known_evaluation(), "best.safetensors", "test", ""));
  write_text(folder / "profile.json", profile_json(known_profile()));
  write_known_attack(folder / "attack");
}

// Whether a number that is not finite stands in a text or in the coordinates of a drawing.
inline bool has_not_finite(std::string_view page) {
  for (const std::string_view word : {"nan", "inf"}) {
    for (size_t at = page.find(word, 1); at != std::string_view::npos;
         at = page.find(word, at + 1)) {
      const size_t end = at + word.size();
      const bool begins = std::string_view(">', -(").find(page[at - 1]) != std::string_view::npos;
      if (begins && end < page.size() && std::string_view("<', %)").find(page[end]) < 6)
        return true;
    }
  }
  return false;
}

// The page of a run, without writing anything.
inline std::string page_of(const fs::path& run) {
  const report::RunData data = report::read_run(run);
  return report::page(data, report::sections_of(data));
}

// The page of a run, written into it.
inline std::string reported(const fs::path& run) {
  return read_text(report::write_report(run, run));
}

// The rows of a CSV file without quotes, the header first.
inline std::vector<std::vector<std::string>> csv_rows(const fs::path& file) {
  std::istringstream lines(read_text(file));
  std::vector<std::vector<std::string>> rows;
  for (std::string line; std::getline(lines, line);) {
    rows.emplace_back();
    for (size_t begin = 0; begin <= line.size();) {
      const size_t end = std::min(line.find(',', begin), line.size());
      rows.back().push_back(line.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  return rows;
}

}  // namespace verace::apps
