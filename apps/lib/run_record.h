// What a run was: its command, time, data, network and machine. RUN/run.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace verace::apps {

struct RunRecord {
  std::string kind;                  // "train" or "demo"
  std::vector<std::string> command;  // the words of the process
  std::string started;               // UTC, "2026-01-31T12:00:00Z"
  double seconds = 0;                // of this process
  bool resumed = false;              // there were processes before it
  bool finished = false;             // all epochs done, or the whole demonstration
  uint64_t seed = 0;
  std::string device;
  std::string precision = "fp32";  // as --precision
  int64_t threads = 0;
  // The demonstration's parts and their seconds, in order.
  std::vector<std::pair<std::string, double>> stages;
  bool synthetic = false;  // the faces are drawn by this program
  bool quick = false;
  // Splits whose fakes are pseudo-fakes (data/pseudo_fakes/), "val, test"; empty: none.
  std::string judged_on_pseudo_fakes;
  // Of a training; 0 in a demonstration.
  int64_t epochs = 0, best_epoch = 0, steps = 0;
  int64_t train_pictures = 0, val_pictures = 0, test_pictures = 0;
  int64_t parameters = 0, trainable = 0;  // numbers, not tensors
  int64_t peak_memory = 0;                // bytes that the process has held
  // The machine and the program, as rows for people: what and which.
  std::vector<std::pair<std::string, std::string>> environment;
};

// Now, in the form of RunRecord::started.
std::string utc_now();
// Fills in what the process and the machine tell: command, peak_memory, environment.
void describe_process(RunRecord& record);

// JSON object: version 1, and the fields above by their names; stages and environment as arrays of
// two.
std::string run_record_json(const RunRecord& record);
// Back; throws Error(kInput) naming `where` for anything else.
RunRecord read_run_record(const std::string& json, const std::string& where);
// FOLDER/run.json; empty where there is none, or none that can be read.
std::optional<RunRecord> find_run_record(const std::filesystem::path& folder);

}  // namespace verace::apps
