// What is known of a finished video: the file OUT/videos/NAME.json, whose presence means that the
// video's crops are complete.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "apps/lib/video_faces.h"

namespace verace::apps {

// Numbers as they are written: coordinates with 2 decimals, seconds with 3, scores with 5.
struct FaceEntry {
  int64_t frame = 0, place = 0;
  double seconds = 0, score = 0;
  data::DetectedFace in_frame, in_crop;  // their scores are `score`
  std::string file;                      // below the video's folder
  int64_t bytes = 0;                     // of the file
  std::string digest;                    // of the file (digest_of)
};

// A video file's size and time of change; of a folder those of its files together.
struct SourceStamp {
  int64_t bytes = 0, changed = 0, files = 0;
  bool operator==(const SourceStamp&) const = default;
};
// Zeros for what is not there.
SourceStamp stamp_of(const std::filesystem::path& path);

struct VideoRecord {
  SourceStamp source;
  int64_t wanted = 0, frames = 0, looked_at = 0, with_faces = 0;
  std::vector<int64_t> without_face;
  double seconds = 0;
  std::string format, shortfall, damage;
  bool readable = false;  // files hold records of readable videos only
  std::vector<FaceEntry> faces;
};

// "000012_0.jpg"
std::string crop_name(int64_t frame, int64_t place, bool png);
bool is_crop_name(const std::string& name);

// 16 hexadecimal digits (XXH64).
std::string digest_of(std::span<const std::byte> bytes);

// The face without its picture.
FaceEntry entry_of(const FoundFace& face);

std::string record_text(const VideoRecord& record);
// Throws Error(kInput) naming `where`.
VideoRecord record_from(const std::string& text, const std::string& where);

// The record of a video of which nothing has changed since: same source, same number, and all its
// crops in `folder` with the bytes that they had. Empty for anything else, also for files that are
// damaged.
std::optional<VideoRecord> finished_record(const std::filesystem::path& file,
                                           const std::filesystem::path& folder,
                                           const SourceStamp& source, int64_t wanted);

}  // namespace verace::apps
