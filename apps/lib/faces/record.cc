// Records as JSON. A record that cannot be read is no record: the video is done again.
#include "apps/lib/faces/record.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <system_error>

#include "apps/lib/versioned_json.h"
#include "data/text.h"
#include "kernels/hash.h"

namespace verace::apps {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kRecordVersion = 1;
constexpr int64_t kMostRecordBytes = int64_t{1} << 30;
constexpr int64_t kMostCropBytes = int64_t{1} << 30;
constexpr double kFarthest = 1e38;  // what a float holds

double rounded(double value, int decimals) {
  const double scale = std::pow(10.0, decimals);
  return std::round(value * scale) / scale;
}

float pixels(float value) { return static_cast<float>(rounded(value, 2)); }

data::DetectedFace rounded_face(data::DetectedFace face) {
  for (float* side : {&face.box.x1, &face.box.y1, &face.box.x2, &face.box.y2}) {
    *side = pixels(*side);
  }
  for (data::ImagePoint& point : face.landmarks) point = {pixels(point.x), pixels(point.y)};
  return face;
}

Json number(float value) { return rounded(value, 2); }

Json face_json(const data::DetectedFace& face) {
  Json points = Json::array();
  for (const data::ImagePoint& point : face.landmarks) {
    points.push_back({number(point.x), number(point.y)});
  }
  const data::FaceBox& box = face.box;
  return {{"box", {number(box.x1), number(box.y1), number(box.x2), number(box.y2)}},
          {"landmarks", points}};
}

float coordinate(const Json& json) {
  if (!json.is_number()) throw BadJson("a coordinate is not a number");
  const double value = json.get<double>();
  if (!(std::abs(value) <= kFarthest)) throw BadJson("a coordinate is far outside");
  return static_cast<float>(value);
}

data::DetectedFace face_from(const JsonReader& json) {
  const Json& box = json.array("box");
  const Json& points = json.array("landmarks");
  if (box.size() != 4 || points.size() != data::kFaceLandmarks) {
    throw BadJson("a face has too many numbers or too few");
  }
  data::DetectedFace face;
  face.box = {coordinate(box[0]), coordinate(box[1]), coordinate(box[2]), coordinate(box[3])};
  for (size_t i = 0; i < points.size(); ++i) {
    if (!points[i].is_array() || points[i].size() != 2) throw BadJson("a landmark is no pair");
    face.landmarks[i] = {coordinate(points[i][0]), coordinate(points[i][1])};
  }
  return face;
}

FaceEntry entry_from(const JsonReader& json) {
  FaceEntry entry;
  entry.frame = json.count("frame");
  entry.place = json.count("place");
  entry.seconds = json.number("seconds", 0, 1e9);
  entry.score = json.number("score", 0, 1);
  entry.in_frame = face_from(json.object("in_frame"));
  entry.in_crop = face_from(json.object("in_crop"));
  entry.in_frame.score = entry.in_crop.score = static_cast<float>(entry.score);
  entry.file = json.text("file");
  if (!is_crop_name(entry.file)) throw BadJson("a crop has another name than verace gives");
  entry.bytes = json.count("bytes");
  entry.digest = json.text("digest");
  return entry;
}

bool holds(const fs::path& file, const FaceEntry& entry) {
  std::error_code error;
  if (fs::file_size(file, error) != static_cast<uintmax_t>(entry.bytes) || error) return false;
  return digest_of(data::read_file(file, kMostCropBytes, "crop")) == entry.digest;
}

}  // namespace

std::string digest_of(std::span<const std::byte> bytes) {
  Xxh64 digest;
  digest.add(bytes);
  return text::format("{:016x}", digest.value());
}

SourceStamp stamp_of(const fs::path& path) {
  SourceStamp stamp;
  std::error_code error;
  const auto add = [&](const fs::path& file) {
    const auto size = fs::file_size(file, error);
    if (error) return;
    const auto changed = fs::last_write_time(file, error);
    if (error) return;
    const auto time = static_cast<int64_t>(changed.time_since_epoch().count());
    stamp.bytes += static_cast<int64_t>(size);
    stamp.changed = stamp.files == 0 ? time : std::max(stamp.changed, time);
    ++stamp.files;
  };
  if (!fs::is_directory(path, error)) {
    add(path);
    return stamp;
  }
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    if (it->is_regular_file(error)) add(it->path());
    error.clear();
  }
  return stamp;
}

std::string crop_name(int64_t frame, int64_t place, bool png) {
  return text::format("{:06}_{}.{}", frame, place, png ? "png" : "jpg");
}

bool is_crop_name(const std::string& name) {
  const auto digits = [&name](size_t from, size_t to) {
    return to > from && std::all_of(name.begin() + static_cast<ptrdiff_t>(from),
                                    name.begin() + static_cast<ptrdiff_t>(to),
                                    [](char c) { return c >= '0' && c <= '9'; });
  };
  if (!name.ends_with(".jpg") && !name.ends_with(".png")) return false;
  const size_t line = name.find('_');
  return line != std::string::npos && digits(0, line) && digits(line + 1, name.size() - 4);
}

FaceEntry entry_of(const FoundFace& face) {
  FaceEntry entry;
  entry.frame = face.frame;
  entry.place = face.place;
  entry.seconds = rounded(face.seconds, 3);
  entry.score = rounded(face.in_frame.score, 5);
  entry.in_frame = rounded_face(face.in_frame);
  entry.in_crop = rounded_face(face.crop.face);
  entry.in_frame.score = entry.in_crop.score = static_cast<float>(entry.score);
  return entry;
}

std::string record_text(const VideoRecord& record) {
  Json json{{"version", kRecordVersion},
            {"source",
             {{"bytes", record.source.bytes},
              {"changed", text::format("{}", record.source.changed)},
              {"files", record.source.files}}},
            {"wanted", record.wanted},
            {"frames", record.frames},
            {"looked_at", record.looked_at},
            {"with_faces", record.with_faces},
            {"without_face", record.without_face},
            {"seconds", record.seconds},
            {"format", record.format},
            {"shortfall", record.shortfall},
            {"damage", record.damage},
            {"faces", Json::array()}};
  for (const FaceEntry& entry : record.faces) {
    json["faces"].push_back({{"frame", entry.frame},
                             {"place", entry.place},
                             {"seconds", entry.seconds},
                             {"score", entry.score},
                             {"in_frame", face_json(entry.in_frame)},
                             {"in_crop", face_json(entry.in_crop)},
                             {"file", entry.file},
                             {"bytes", entry.bytes},
                             {"digest", entry.digest}});
  }
  return json_text(json);
}

VideoRecord record_from(const std::string& text, const std::string& where) {
  return read_versioned(text, where, kRecordVersion, [](const JsonReader& json) {
    VideoRecord record;
    const JsonReader source = json.object("source");
    record.source.bytes = source.count("bytes");
    record.source.changed = std::atoll(source.text("changed").c_str());
    record.source.files = source.count("files");
    record.wanted = json.count("wanted");
    record.frames = json.count("frames");
    record.looked_at = json.count("looked_at");
    record.with_faces = json.count("with_faces");
    for (const Json& frame : json.array("without_face")) {
      if (!frame.is_number_unsigned()) throw BadJson("a frame's number is none");
      record.without_face.push_back(frame.get<int64_t>());
    }
    record.seconds = json.number("seconds", 0, 1e9);
    record.format = json.text("format");
    record.shortfall = json.text("shortfall");
    record.damage = json.text("damage");
    record.readable = true;
    json.for_each("faces",
                  [&](const JsonReader& face) { record.faces.push_back(entry_from(face)); });
    return record;
  });
}

std::optional<VideoRecord> finished_record(const fs::path& file, const fs::path& folder,
                                           const SourceStamp& source, int64_t wanted) {
  std::error_code error;
  if (!fs::is_regular_file(file, error)) return std::nullopt;
  try {
    const std::vector<std::byte> bytes = data::read_file(file, kMostRecordBytes, "record");
    VideoRecord record = record_from({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                                     data::name_of(file));
    if (record.source != source || record.wanted != wanted) return std::nullopt;
    for (const FaceEntry& entry : record.faces) {
      if (!holds(folder / entry.file, entry)) return std::nullopt;
    }
    return record;
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::kInput) throw;
    return std::nullopt;
  }
}

}  // namespace verace::apps
