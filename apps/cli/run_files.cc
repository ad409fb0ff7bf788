// Moving a run's files aside and back.
#include "apps/cli/run_files.h"

#include <initializer_list>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::cli {

namespace fs = std::filesystem;

RunFilesAside::RunFilesAside(const fs::path& folder, bool overwrite) : folder_(folder) {
  if (!overwrite) return;
  // Events leave their folder, where TensorBoard would go on reading them.
  for (const auto& [name, aside] : std::initializer_list<std::pair<const char*, const char*>>{
           {"config.toml", "config.toml.replaced"},
           {"metrics.jsonl", "metrics.jsonl.replaced"},
           {"curve.svg", "curve.svg.replaced"},
           {"run.json", "run.json.replaced"},
           {"evaluation.json", "evaluation.json.replaced"},
           {"profile.json", "profile.json.replaced"},
           {"report.html", "report.html.replaced"},
           {"best.safetensors", "best.safetensors.replaced"},
           {"last.safetensors", "last.safetensors.replaced"},
           {"tensorboard/events.out.tfevents.verace", "tensorboard.replaced"}}) {
    const fs::path from = folder / name, to = folder / aside;
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
  const bool stored = fs::exists(folder_ / "last.safetensors", error) ||
                      fs::exists(folder_ / "best.safetensors", error);
  if (stored) {
    text::print(stderr, "note: the files of the earlier run are still there, as {}\n",
                one_line((folder_ / "*.replaced").string()));
    return;
  }
  for (const auto& [from, to] : moved_) fs::rename(to, from, error);
}

}  // namespace verace::cli
