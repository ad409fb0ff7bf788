// Replacing an earlier training run without losing it before the new one has begun.
#pragma once

#include <filesystem>
#include <utility>
#include <vector>

namespace verace::cli {

// Renames a run's own files in `folder` (and no others) to NAME.replaced, TensorBoard's events to
// tensorboard.replaced: also its report's and attack/attack.json, which are of the old network;
// attacked pictures stay. forget() removes them; if that was never called they get their names
// back, unless the new run has stored a model already: then they stay as they are, and a note on
// stderr says in which folders.
class RunFilesAside {
 public:
  // Throws Error(kInput) naming the file if one cannot be renamed; the others have their names
  // back.
  RunFilesAside(const std::filesystem::path& folder, bool overwrite);
  ~RunFilesAside();
  RunFilesAside(const RunFilesAside&) = delete;
  RunFilesAside& operator=(const RunFilesAside&) = delete;

  void forget();

 private:
  void move_all();
  void move_back();
  void move(const std::filesystem::path& from, const std::filesystem::path& to);

  std::filesystem::path folder_;
  std::vector<std::pair<std::filesystem::path, std::filesystem::path>> moved_;  // from, to
};

}  // namespace verace::cli
