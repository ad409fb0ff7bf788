// What a report shows, as read from the folder of a run. Nothing in the folder is believed, and
// nothing that is missing or damaged ends the report: it says what is missing and why.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/lib/evaluation_record.h"
#include "apps/lib/run_folder.h"
#include "apps/lib/run_record.h"
#include "apps/lib/step_profile.h"
#include "data/image.h"

namespace verace::apps::report {

// A part of a run, or one line that says why it is not there.
template <typename T>
struct Found {
  std::optional<T> value;
  std::string missing;
};

using Config = std::vector<std::pair<std::string, std::string>>;  // lines of config.toml

// The folder of one training.
struct TrainingData {
  std::string title;
  Found<std::vector<EpochMetrics>> epochs;  // at least one
  Found<Config> config;
  Found<RunRecord> record;
};

struct AttackPoint {
  double epsilon = 0, accuracy = 0, accuracy_8bit = 0, mse = 0;
};
struct AttackedPicture {
  std::string name;  // of the file, without its folder
  int32_t label = 0;
  double probability_before = 0, probability_after = 0;  // of being fake; after: as stored
  data::Image before, after;
};
struct AttackData {
  std::string split;             // of the pictures; empty: unknown
  std::string weights;           // of the attacked network (weights_digest.h); empty: unknown
  bool other_network = false;    // than the best one that the run holds
  bool unknown_network = false;  // no one can tell: a digest or the run's network is missing
  bool stopped = false;          // by a signal: `count` pictures are only a part
  int64_t count = 0;
  double accuracy_before = 0;
  std::vector<AttackPoint> points;  // by increasing epsilon
  double gallery_epsilon = 0;
  std::vector<AttackedPicture> gallery;  // may be empty
  std::string gallery_missing;           // why it is, or why some are missing
};

struct RunData {
  std::string name;  // of the folder, without its path
  bool demo = false;
  Found<RunRecord> record;
  std::vector<TrainingData> trainings;   // in order; the last one's network is judged
  Found<RecordedEvaluation> evaluation;  // missing also where it is of other weights than the run's
  Found<AttackData> attack;
  Found<Profile> profile;
};

// Throws Error(kInput) naming `folder` where no run is, that is where there is neither of
// metrics.jsonl, config.toml, run.json and a training below finetuned/.
RunData read_run(const std::filesystem::path& folder);

// FOLDER/attack.json and the pictures of its gallery, which must lie in the folder. The gallery is
// that of the smallest epsilon that turned at least half of the right verdicts, else the largest.
// Throws Error(kInput) naming attack.json for what cannot be read.
AttackData read_attack(const std::filesystem::path& folder);

// A text file of the run, at most 64 MB. Throws Error(kInput) naming the file, without its folder.
std::string read_text_file(const std::filesystem::path& path);

}  // namespace verace::apps::report
