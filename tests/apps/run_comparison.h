// Two runs' folders compared: networks, moments, state and records must be equal in every bit; only
// times may differ.
#pragma once

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "apps/lib/checkpoint.h"
#include "apps/lib/run_record.h"
#include "kernels/format.h"
#include "tests/apps/training_support.h"
#include "tests/support/event_reader.h"

namespace verace::apps {

inline constexpr const char* kRunFiles[] = {
    "config.toml",      "metrics.jsonl",        "curve.svg",
    "run.json",         "evaluation.json",      "best.safetensors",
    "last.safetensors", "previous.safetensors", "tensorboard/events.out.tfevents.verace"};

inline std::string without(const std::string& text, const std::vector<std::string>& keys) {
  auto json = nlohmann::json::parse(text);
  for (const std::string& key : keys) {
    if (json.erase(key) == 0) throw std::runtime_error(key + " is missing");
  }
  return json.dump();
}

inline std::string without_times(const std::string& line) {
  return without(line, {"seconds", "images_per_second", "loader_wait_share", "wall_time"});
}

inline std::string evaluation_without_times(const std::string& file) {
  return without(read_text(file), {"seconds", "images_per_second"});
}

inline std::vector<std::string> lines_without_times(const std::string& file) {
  std::vector<std::string> lines;
  std::istringstream in(read_text(file));
  for (std::string line; std::getline(in, line);) lines.push_back(without_times(line));
  return lines;
}

// Steps, tags and values of the events.
inline std::string events_without_times(const std::string& file) {
  std::string all;
  for (const test::ReadEvent& event : test::read_events(read_text(file))) {
    all += text::format("step {} {}\n", event.step, event.version);
    for (const auto& [tag, value] : event.scalars) {
      if (!tag.starts_with("speed/")) all += text::format("{} {}\n", tag, value);
    }
  }
  return all;
}

inline std::string state_without_times(const std::string& file) {
  TrainingState s = read_checkpoint(file).state;
  std::string all =
      text::format("{} {} {} {} {} {} {} {}\n", s.epoch, s.step, s.global_step, s.epoch_samples,
                   s.epoch_correct, s.epoch_loss_sum, s.best_epoch, s.best_digest);
  for (const EpochMetrics& epoch : s.history) all += without_times(to_json(epoch)) + "\n";
  return all;
}

inline std::string record_without_times(const std::string& folder) {
  const RunRecord r = find_run_record(folder).value();
  return text::format("{} {} {} {} {} {} {} {} {} {} {} {}", r.kind, r.finished, r.seed, r.epochs,
                      r.best_epoch, r.steps, r.train_pictures, r.val_pictures, r.test_pictures,
                      r.parameters, r.trainable, r.synthetic);
}

// Names below a folder of what a killed process leaves.
inline std::vector<std::string> temporary_files(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(".")) names.push_back(name);
  }
  return names;
}

// What differs between the finished runs in two folders; empty: nothing does.
inline std::string first_run_difference(const std::string& a, const std::string& b) {
  for (const char* name : kRunFiles) {
    for (const std::string& folder : {a, b}) {
      if (!std::filesystem::is_regular_file(folder + "/" + name)) {
        return text::format("{}/{} is missing", folder, name);
      }
    }
  }
  if (!temporary_files(b).empty()) return "left: " + temporary_files(b).front();
  const auto differs = [&](const char* name, auto content) {
    return content(a + "/" + name) != content(b + "/" + name);
  };
  for (const char* name : {"best.safetensors", "last.safetensors"}) {
    const std::string tensor = first_difference(a + "/" + name, b + "/" + name);
    if (!tensor.empty()) return text::format("{}: {}", name, tensor);
  }
  if (differs("last.safetensors", state_without_times)) return "the state in last.safetensors";
  if (differs("metrics.jsonl", lines_without_times)) return "metrics.jsonl";
  if (differs("evaluation.json", evaluation_without_times)) return "evaluation.json";
  if (differs("tensorboard/events.out.tfevents.verace", events_without_times)) return "tensorboard";
  if (record_without_times(a) != record_without_times(b)) return "run.json";
  return "";
}

}  // namespace verace::apps
