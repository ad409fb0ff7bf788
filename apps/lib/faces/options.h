// What `verace faces` is asked for, and the settings that decide what comes out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/lib/progress.h"
#include "apps/lib/video_faces.h"
#include "data/video_set.h"

namespace verace::apps {

struct FacesPerVideo {
  int64_t real = 10, fake = 10;
  bool by_class = false;  // videos without a label have no number

  // Of a video with this label.
  int64_t of(std::optional<int32_t> label) const;
  std::string text() const;  // "10", "real=100,fake=10"
  bool operator==(const FacesPerVideo&) const = default;
};

// A flag and its value, as the user would write them.
using Setting = std::pair<std::string, std::string>;

struct FacePipelineOptions {
  std::vector<std::string> inputs;
  std::filesystem::path out;
  FacesPerVideo count;
  VideoFacesOptions search;       // `frames` is `count`'s
  std::vector<Setting> detector;  // what decides its answers
  std::optional<int32_t> label;   // of videos whose data set names none
  bool pictures = false;          // folders hold single pictures, not frames of a video
  data::VideoSetOptions set;      // which part of FaceForensics++
  std::optional<data::SplitOptions> splits;
  int jpeg_quality = 95;  // 1..100; 0: PNG
  int64_t workers = 2;    // videos at a time
  ProgressStyle progress;
};

// All that decides a video's crops, in a fixed order; labels, splits and speed do not.
std::vector<Setting> settings_of(const FacePipelineOptions& options);

// OUT/faces.json holds the settings of the folder. Where it is not there it is written; where it
// holds others, throws Error(kInput) that names the first that differs and what to do.
void claim_folder(const std::filesystem::path& out, const std::vector<Setting>& settings);

// Holds the folder for this process: a second one that asks for it gets an Error(kInput).
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace verace::apps
