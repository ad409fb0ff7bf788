// Videos below a folder: files by their extensions, and folders that hold pictures.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/video_set.h"

namespace verace::data {

std::string lower(std::string text);
// By the extension, in any case. Hidden files never (picture_name.h).
bool is_video_name(const std::filesystem::path& path);

// Counts what happened to files, by reason.
class Tallies {
 public:
  explicit Tallies(std::filesystem::path root) : root_(std::move(root)) {}
  void add(const std::string& what, const std::string& name);
  void add(const std::string& what, const std::filesystem::path& path);  // named from the root on
  std::vector<Tally> take();

 private:
  std::filesystem::path root_;
  std::vector<Tally> tallies_;
};

struct FoundVideo {
  std::filesystem::path path;
  // The way to it from the folder that was searched; the last one without a video's extension.
  std::vector<std::string> parts;
  bool is_folder = false;
};

// Pictures directly in the folder that is searched: each a video of one frame, or none.
enum class LoosePictures : uint8_t { kIgnored, kVideos };

// All videos below `folder`, by path (bytes). The folder itself is none, whatever it holds. Links
// to folders are followed. What is neither a video nor a frame of one is tallied. Throws
// Error(kInput) for links that lead in a circle, std::filesystem::filesystem_error where a folder
// cannot be read.
std::vector<FoundVideo> find_videos(const std::filesystem::path& folder, Tallies& ignored,
                                    LoosePictures loose = LoosePictures::kIgnored);

// The folder of this name in any case: copies of data sets have "Youtube-real" too. The name itself
// first; empty: there is none.
std::filesystem::path folder_named(const std::filesystem::path& directory, const std::string& name);
// Names of the folders in a folder, sorted, without hidden ones.
std::vector<std::string> folders_in(const std::filesystem::path& directory);
// "'a', 'b', ..." for messages; "no folders".
std::string listing(const std::vector<std::string>& names);

// Adds `sample` unless its name is taken already; a file takes the place of a folder of frames, as
// it is what these were made from. The other one is tallied.
class SampleCollector {
 public:
  SampleCollector(VideoSet& set, Tallies& ignored) : set_(set), ignored_(ignored) {}
  // All samples of one folder of the data set, then its line in VideoSet::folders.
  void add(VideoSample sample, bool is_folder);
  void finish_folder(VideoFolder folder);

 private:
  VideoSet& set_;
  Tallies& ignored_;
  std::map<std::string, std::pair<VideoSample, bool>> samples_;  // of this folder
};

}  // namespace verace::data
