// The two checkpoints of a run, last.safetensors and the one before it: which of them a run goes on
// from, and writing the next one so that a good one is there at every instant.
#pragma once

#include <filesystem>
#include <string>

#include "apps/lib/checkpoint.h"

namespace verace::apps {

inline constexpr const char* kLastName = "last.safetensors";
inline constexpr const char* kPreviousName = "previous.safetensors";

// What --overwrite adds to the names of a run's files until the run that replaces it has finished.
inline constexpr const char* kReplaced = ".replaced";

struct FoundCheckpoint {
  std::filesystem::path path;  // the file that was asked for, or the one before it
  Checkpoint checkpoint;
  // What is wrong with the one that was asked for, and where the other goes on; one line, or empty.
  std::string warning;
};

// The checkpoint in `wanted`; or, if that is a last.safetensors which is missing or damaged, the
// one before it in the same folder. Throws Error(kInput) saying what is wrong with each file where
// neither will do, and for a last.safetensors that may not be read: it may be good.
FoundCheckpoint find_checkpoint(const std::filesystem::path& wanted);

// "epoch 3, after step 12"; steps of that epoch.
std::string moment_of(const TrainingState& state);

// Writes the checkpoints of one run into its folder. The order of a save: the new file under a
// temporary name, on the disc, read back and found good; the old last one gets the name of the
// previous one; the new one gets the name of the last one. Whenever that ends, for whatever reason,
// the last one is good, or missing beside a good previous one.
class CheckpointFiles {
 public:
  // `resumed`: the file that the run goes on from; empty for a new run. What the folder holds of
  // another run does not become this one's previous checkpoint.
  CheckpointFiles(const std::filesystem::path& folder, const std::filesystem::path& resumed);

  const std::filesystem::path& last() const { return last_; }
  // Whether some file of this run in the folder holds a state of it.
  bool has_any() const { return last_is_ours_ || previous_is_ours_; }
  // Throws as save_checkpoint; then the files are as they were.
  void save(const layers::Classifier& classifier, const optim::Adam& adam,
            const Checkpoint& checkpoint);

 private:
  std::filesystem::path last_, previous_;
  bool last_is_ours_ = false;  // and good: it may become the previous one
  bool previous_is_ours_ = false;
};

}  // namespace verace::apps
