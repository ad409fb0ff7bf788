// Tables for programs and for people.
#include "apps/lib/faces/outputs.h"

#include <cmath>

#include "apps/lib/versioned_json.h"
#include "data/csv.h"
#include "data/face_manifest.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

constexpr int64_t kAccountVersion = 1;

std::string label_text(const data::VideoSample& video) {
  return video.label ? data::kClassNames[static_cast<size_t>(*video.label)] : "";
}

std::string split_text(const data::VideoSample& video) {
  return video.split ? data::kSplitNames[static_cast<size_t>(*video.split)] : "";
}

std::string path_of(const FaceJob& job, const FaceEntry& face) {
  return "faces/" + job.folder + "/" + face.file;
}

// Two decimals, as in the manifest; a float's own digits would be 17.
double hundredths(float value) { return std::round(static_cast<double>(value) * 100) / 100; }

Json face_json(const FaceJob& job, const FaceEntry& face) {
  const data::FaceBox& box = face.in_frame.box;
  Json points = Json::array();
  for (const data::ImagePoint& point : face.in_frame.landmarks) {
    points.push_back({hundredths(point.x), hundredths(point.y)});
  }
  return {{"path", path_of(job, face)},
          {"frame", face.frame},
          {"seconds", face.seconds},
          {"score", face.score},
          {"box", {hundredths(box.x1), hundredths(box.y1), hundredths(box.x2), hundredths(box.y2)}},
          {"landmarks", points}};
}

Json video_json(const DoneVideo& done) {
  const data::VideoSample& video = done.job.video;
  const VideoRecord& record = done.record;
  Json json{{"path", video.path.string()},
            {"video", video.name},
            {"label", video.label ? Json(label_text(video)) : Json()},
            {"identity", video.identity},
            {"split", video.split ? Json(split_text(video)) : Json()},
            {"readable", record.readable},
            {"format", record.format},
            {"seconds", record.seconds},
            {"wanted", record.wanted},
            {"frames", record.frames},
            {"looked_at", record.looked_at},
            {"with_faces", record.with_faces},
            {"without_face", record.without_face},
            {"shortfall", record.shortfall},
            {"damage", record.damage},
            {"faces", Json::array()}};
  for (const FaceEntry& face : record.faces) json["faces"].push_back(face_json(done.job, face));
  return json;
}

}  // namespace

std::string manifest_text(const std::vector<DoneVideo>& videos) {
  std::string text = data::face_manifest_header();
  for (const auto& [job, record] : videos) {
    for (const FaceEntry& face : record.faces) {
      data::FaceRecord line;
      line.path = path_of(job, face);
      line.label = job.video.label;
      line.video = job.video.name;
      line.identity = job.video.identity;
      line.split = job.video.split;
      line.frame = face.frame;
      line.seconds = face.seconds;
      line.score = face.score;
      line.box = face.in_crop.box;
      line.landmarks = face.in_crop.landmarks;
      text += data::face_manifest_line(line);
    }
  }
  return text;
}

std::string account_text(const std::vector<DoneVideo>& videos) {
  std::string text =
      "path,label,video,identity,split,frames,looked_at,with_faces,faces,shortfall,damage,"
      "seconds\n";
  for (const auto& [job, record] : videos) {
    const data::VideoSample& video = job.video;
    text += text::format(
        "{},{},{},{},{},{},{},{},{},{},{},{:.3f}\n", data::csv_field(video.path.string()),
        label_text(video), data::csv_field(video.name), data::csv_field(video.identity),
        split_text(video), record.frames, record.looked_at, record.with_faces, record.faces.size(),
        data::csv_field(record.shortfall), data::csv_field(record.damage), record.seconds);
  }
  return text;
}

std::string account_json(const std::vector<DoneVideo>& videos,
                         const std::vector<Setting>& settings) {
  Json json{{"version", kAccountVersion}, {"settings", Json::object()}, {"videos", Json::array()}};
  for (const auto& [name, value] : settings) json["settings"][name] = value;
  for (const DoneVideo& video : videos) json["videos"].push_back(video_json(video));
  return json_text(json);
}

}  // namespace verace::apps
