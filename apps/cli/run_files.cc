// Moving a run's files aside and back.
#include "apps/cli/run_files.h"

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::cli {

namespace fs = std::filesystem;

RunFilesAside::RunFilesAside(const fs::path& folder, bool overwrite) {
  if (!overwrite) return;
  for (const char* name :
       {"config.toml", "metrics.jsonl", "curve.svg", "run.json", "evaluation.json", "profile.json",
        "report.html", "best.safetensors", "last.safetensors"}) {
    const fs::path from = folder / name, to = folder / (std::string(name) + ".replaced");
    std::error_code error;
    if (!fs::is_regular_file(from, error)) continue;
    fs::rename(from, to, error);
    if (error) {
      fail_input(
          text::format("--overwrite: cannot replace {}: {}", from.string(), error.message()));
    }
    moved_.emplace_back(from, to);
  }
}

void RunFilesAside::forget() {
  std::error_code ignored;
  for (const auto& [from, to] : moved_) fs::remove(to, ignored);
  moved_.clear();
}

RunFilesAside::~RunFilesAside() {
  if (moved_.empty()) return;
  std::error_code error;
  const fs::path folder = moved_.front().first.parent_path();
  const bool stored = fs::exists(folder / "last.safetensors", error) ||
                      fs::exists(folder / "best.safetensors", error);
  if (stored) {
    text::print(stderr, "note: the files of the earlier run are still there, as {}\n",
                one_line((folder / "*.replaced").string()));
    return;
  }
  for (const auto& [from, to] : moved_) fs::rename(to, from, error);
}

}  // namespace verace::cli
