// Moving a run's files aside and back.
#include "apps/cli/run_files.h"

#include <algorithm>

#include "apps/lib/checkpoint_files.h"
#include "apps/lib/report/report.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::cli {

namespace fs = std::filesystem;

RunFilesAside::RunFilesAside(const fs::path& folder, bool overwrite) : folder_(folder) {
  if (!overwrite) return;
  try {
    move_all();
  } catch (...) {
    move_back();  // there is no destructor yet
    throw;
  }
}

void RunFilesAside::move_all() {
  for (const char* name :
       {"config.toml", "metrics.jsonl", "curve.svg", "run.json", "evaluation.json", "profile.json",
        "best.safetensors", "last.safetensors", "previous.safetensors", "attack/attack.json"}) {
    move(folder_ / name, (folder_ / name).string() + apps::kReplaced);
  }
  // Events leave their folder, where TensorBoard would go on reading them.
  move(folder_ / "tensorboard/events.out.tfevents.verace",
       folder_ / (std::string("tensorboard") + apps::kReplaced));
  for (const fs::path& file : apps::report::report_files(folder_)) {
    move(file, file.string() + apps::kReplaced);
  }
}

void RunFilesAside::move(const fs::path& from, const fs::path& to) {
  std::error_code error;
  if (!fs::is_regular_file(from, error)) return;
  fs::rename(from, to, error);
  if (error) {
    fail_input(
        text::format("--overwrite: cannot rename {} to {} ({}): move away what is in the way",
                     from.string(), to.string(), error.message()));
  }
  moved_.emplace_back(from, to);
}

void RunFilesAside::move_back() {
  std::error_code ignored;
  for (const auto& [from, to] : moved_) fs::rename(to, from, ignored);
  moved_.clear();
}

void RunFilesAside::forget() {
  std::error_code ignored;
  for (const auto& [from, to] : moved_) fs::remove(to, ignored);
  moved_.clear();
}

RunFilesAside::~RunFilesAside() {
  if (moved_.empty()) return;
  std::error_code error;
  const bool stored = fs::exists(folder_ / "last.safetensors", error) ||
                      fs::exists(folder_ / "best.safetensors", error);
  if (!stored) {
    move_back();
    return;
  }
  std::vector<std::string> places;  // one for each folder that holds some
  for (const auto& [from, to] : moved_) {
    const std::string place =
        one_line((to.parent_path() / (std::string("*") + apps::kReplaced)).string());
    if (std::ranges::find(places, place) == places.end()) places.push_back(place);
  }
  text::print(stderr, "note: the files of the earlier run are still there, as {}\n",
              text::join(places, ", "));
}

}  // namespace verace::cli
