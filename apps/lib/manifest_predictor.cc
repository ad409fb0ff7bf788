// Judging the crops of a manifest of faces, video by video.
#include <charconv>
#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include "apps/lib/failed_videos.h"
#include "apps/lib/media_predictor.h"
#include "data/csv.h"
#include "data/image.h"
#include "data/text.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostManifestBytes = int64_t{1} << 30;

struct Row {
  fs::path picture;
  int64_t frame = -1;
  double seconds = 0;
};
struct Video {
  std::string name;
  std::vector<Row> rows;
};

size_t column(const data::CsvRecord& header, const char* name) {
  for (size_t i = 0; i < header.fields.size(); ++i) {
    if (header.fields[i] == name) return i;
  }
  return header.fields.size();
}

// What a field says; `otherwise` where it is empty or the column is missing.
template <typename Number>
Number number_in(const data::CsvRecord& record, size_t at, Number otherwise,
                 const std::string& name) {
  if (at >= record.fields.size() || record.fields[at].empty()) return otherwise;
  const std::string& field = record.fields[at];
  Number value = -1;
  const char* end = field.data() + field.size();
  const auto [stop, error] = std::from_chars(field.data(), end, value);
  // Infinity is not below itself, and NaN is below nothing.
  if (error != std::errc() || stop != end || !(value >= 0 && value < Number{1'000'000'000'000})) {
    fail_input(text::format("{}:{}: '{}' is not a number from 0 on: correct the line", name,
                            record.line, data::name_of(field)));
  }
  return value;
}

std::vector<Video> read_videos(const fs::path& manifest) {
  const std::string name = data::name_of(manifest);
  const std::vector<std::byte> bytes = data::read_file(manifest, kMostManifestBytes, "manifest");
  const auto records =
      data::parse_csv({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, name);
  const data::CsvRecord header = records.empty() ? data::CsvRecord{} : records.front();
  const size_t path = column(header, "path"), video = column(header, "video");
  if (path == header.fields.size() || video == header.fields.size()) {
    fail_input(name +
               ": is no manifest of faces: its first line must name the columns path and video");
  }
  const size_t frame = column(header, "frame"), seconds = column(header, "seconds");
  std::vector<Video> videos;
  std::unordered_map<std::string, size_t> index;
  for (size_t i = 1; i < records.size(); ++i) {
    const data::CsvRecord& record = records[i];
    const std::string& of = record.fields[video];
    if (record.fields[path].empty() || of.empty()) {
      fail_input(
          text::format("{}:{}: path or video is empty: correct the line", name, record.line));
    }
    const auto [place, added] = index.try_emplace(of, videos.size());
    if (added) videos.push_back({of, {}});
    videos[place->second].rows.push_back({manifest.parent_path() / record.fields[path],
                                          number_in<int64_t>(record, frame, -1, name),
                                          number_in<double>(record, seconds, 0, name)});
  }
  if (videos.empty()) fail_input(name + ": names no face: nothing to judge");
  return videos;
}

MediaVerdict judge_rows(const Video& video, InferenceSession& session,
                        const MediaOptions& options) {
  MediaVerdict verdict;
  verdict.path = video.name;
  std::vector<uint8_t> pixels;
  std::unordered_set<int64_t> frames;
  for (const Row& row : video.rows) {
    try {
      const data::Image fitted = data::fit_to_square(data::read_image(row.picture), options.fit,
                                                     data::name_of(row.picture));
      pixels.insert(pixels.end(), fitted.rgb.begin(), fitted.rgb.end());
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInput) throw;
      if (verdict.damage.empty()) verdict.damage = error.what();
      continue;
    }
    verdict.faces.push_back({row.frame, row.seconds, {}, 0, row.picture});
    frames.insert(row.frame < 0 ? -static_cast<int64_t>(verdict.faces.size()) : row.frame);
  }
  verdict.frames_looked_at = verdict.frames_with_faces = static_cast<int64_t>(frames.size());
  verdict.readable = !verdict.faces.empty();
  if (!verdict.readable) {
    verdict.why_not = verdict.damage;
    return verdict;
  }
  const std::vector<double> fakes = judge_pixels(pixels, video.name, session, options);
  std::vector<FaceAnswer> answers;
  for (size_t i = 0; i < fakes.size(); ++i) {
    verdict.faces[i].probability = fakes[i];
    answers.push_back({fakes[i], verdict.faces[i].frame, 0});
  }
  verdict.fake_probability = video_probability(answers, options.decision.policy);
  return verdict;
}

}  // namespace

std::vector<MediaVerdict> judge_manifest(const fs::path& manifest, InferenceSession& session,
                                         const MediaOptions& options,
                                         const std::function<void(int64_t, int64_t)>& progress) {
  const std::vector<Video> videos = read_videos(manifest);
  const fs::path account = manifest.parent_path() / "account.csv";
  std::vector<FailedVideo> failed;
  std::error_code error;
  if (fs::exists(account, error)) failed = read_failed_videos(account, std::nullopt);
  std::vector<MediaVerdict> verdicts;
  for (const Video& video : videos) {
    verdicts.push_back(judge_rows(video, session, options));
    if (progress) {
      progress(static_cast<int64_t>(verdicts.size()), static_cast<int64_t>(videos.size()));
    }
  }
  for (const FailedVideo& video : failed) {
    MediaVerdict verdict;
    verdict.path = video.video;
    verdict.readable = video.reason != kCannotBeRead;
    verdict.why_not = video.detail.empty() ? video.reason : video.detail;
    verdicts.push_back(std::move(verdict));
  }
  return verdicts;
}

}  // namespace verace::apps
