// What `verace faces` says at its end.
#include <algorithm>

#include "apps/lib/face_pipeline.h"
#include "data/text.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

constexpr size_t kShown = 10;

void add_list(std::string& text, const char* title, const std::vector<std::string>& lines) {
  if (lines.empty()) return;
  text += text::format("{} ({}):\n", title, lines.size());
  for (size_t i = 0; i < std::min(kShown, lines.size()); ++i) text += "  " + lines[i] + "\n";
  if (lines.size() > kShown) {
    text += text::format("  and {} more: account.csv\n", lines.size() - kShown);
  }
}

void add_stage(std::string& text, const char* name, double seconds, int64_t frames) {
  const double each = frames > 0 ? 1000 * seconds / static_cast<double>(frames) : 0.0;
  text += text::format("  {:<30}{:>9.2f} s{:>9.2f} ms/frame\n", name, seconds, each);
}

}  // namespace

std::string pipeline_summary(const FacePipelineResult& result, const FacePipelineOptions& options) {
  std::vector<std::string> failed, empty, few, damaged;
  int64_t faces = 0, wanted = 0, with_faces = 0;
  for (const auto& [job, record] : result.videos) {
    const std::string name = data::name_of(job.video.path);
    faces += static_cast<int64_t>(record.faces.size());
    with_faces += record.with_faces;
    wanted += job.wanted;
    // Errors name the file themselves.
    if (!record.readable) {
      failed.push_back(one_line(record.shortfall));
    } else if (record.faces.empty()) {
      empty.push_back(name + ": " + one_line(record.shortfall));
    } else if (!record.shortfall.empty()) {
      few.push_back(name + ": " + one_line(record.shortfall));
    }
    if (record.readable && !record.damage.empty()) {
      damaged.push_back(name + ": " + one_line(record.damage));
    }
  }
  std::string text;
  add_list(text, "cannot be read", failed);
  add_list(text, "no face found", empty);
  add_list(text, "fewer faces than asked for", few);
  add_list(text, "damaged", damaged);
  text += result.splits;
  text += text::format("{} faces in {} of {} wanted frames of {} videos", faces, with_faces, wanted,
                       result.videos.size());
  if (result.resumed > 0) text += text::format(" ({} were done before)", result.resumed);
  text += text::format(": {}\n", data::name_of(options.out / "manifest.csv"));
  return text;
}

std::string timing_text(const FacePipelineTimes& times, int64_t workers) {
  const ExtractTimes& s = times.stages;
  const double rate = times.wall > 0 ? static_cast<double>(times.frames) / times.wall : 0.0;
  std::string text =
      text::format("{} frames of {} videos in {:.2f} s: {:.1f} frames/s, {} workers\n",
                   times.frames, times.videos, times.wall, rate, workers);
  add_stage(text, "detector at work", times.detector, times.frames);
  text += "of all workers together:\n";
  add_stage(text, "opening and decoding", s.search.decode, times.frames);
  add_stage(text, "converting to RGB", s.search.convert, times.frames);
  add_stage(text, "waiting for the detector", s.search.detect, times.frames);
  add_stage(text, "cropping", s.search.crop - s.encode - s.write, times.frames);
  add_stage(text, "encoding", s.encode, times.frames);
  add_stage(text, "writing crops", s.write, times.frames);
  add_stage(text, "writing records (to the disc)", s.record, times.frames);
  return text;
}

}  // namespace verace::apps
