// Replacing an earlier training run without losing it before the new one has begun.
#pragma once

#include <filesystem>
#include <utility>
#include <vector>

namespace verace::cli {

// Renames a run's own files in `folder` (and no others) to NAME.replaced, TensorBoard's events to
// tensorboard.replaced. forget() removes them; if that was never called they get their names back,
// unless the new run has stored a model already: then they stay as they are, and a note on stderr
// says so.
class RunFilesAside {
 public:
  RunFilesAside(const std::filesystem::path& folder, bool overwrite);
  ~RunFilesAside();
  RunFilesAside(const RunFilesAside&) = delete;
  RunFilesAside& operator=(const RunFilesAside&) = delete;

  void forget();

 private:
  std::filesystem::path folder_;
  std::vector<std::pair<std::filesystem::path, std::filesystem::path>> moved_;  // from, to
};

}  // namespace verace::cli
