// Walking through the folders of a data set of videos.
#include "data/video_sets/files.h"

#include <algorithm>
#include <array>
#include <utility>

#include "data/picture_name.h"
#include "data/text.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxVideoDepth = 32;  // deeper trees are links in a circle
constexpr std::array<const char*, 16> kVideos{".mp4", ".m4v",  ".mkv", ".webm", ".avi", ".mov",
                                              ".mpg", ".mpeg", ".gif", ".wmv",  ".flv", ".ts",
                                              ".mts", ".3gp",  ".ogv", ".mjpeg"};

template <size_t kCount>
bool has_extension(const fs::path& path, const std::array<const char*, kCount>& extensions) {
  if (path.filename().native().starts_with('.')) return false;
  const std::string extension = lower(path.extension().string());
  return std::find(extensions.begin(), extensions.end(), extension) != extensions.end();
}

class Walker {
 public:
  Walker(const fs::path& top, Tallies& ignored, LoosePictures loose)
      : top_(top), ignored_(ignored), loose_(loose) {}

  std::vector<FoundVideo> walk() {
    visit(top_, 0);
    return std::move(found_);
  }

 private:
  // Reads a folder once: frames are as many as there are, and need no names.
  void visit(const fs::path& folder, int depth) {
    if (depth > kMaxVideoDepth) {
      fail_input(text::format("{}: more than {} folders deep; remove links that lead in a circle",
                              name_of(top_), kMaxVideoDepth));
    }
    std::vector<fs::path> folders;
    std::vector<fs::path> videos;
    bool has_pictures = false;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      const fs::path& path = entry.path();
      if (path.filename().native().starts_with('.')) {
        ignored_.add("hidden", path);
      } else if (entry.is_directory()) {
        folders.push_back(path);
      } else if (is_picture_name(path)) {
        has_pictures = true;
        if (depth > 0) continue;
        if (loose_ == LoosePictures::kVideos) {
          videos.push_back(path);
        } else {
          ignored_.add("a picture outside of a folder of frames", path);
        }
      } else if (is_video_name(path)) {
        videos.push_back(path);
      } else {
        ignored_.add("neither a video nor a picture", path);
      }
    }
    if (has_pictures && depth > 0) add(folder, true);
    std::sort(videos.begin(), videos.end());
    for (const fs::path& path : videos) add(path, false);
    std::sort(folders.begin(), folders.end());
    for (const fs::path& path : folders) visit(path, depth + 1);
  }

  void add(const fs::path& path, bool is_folder) {
    FoundVideo video{path, {}, is_folder};
    fs::path below = path.lexically_relative(top_);
    if (!is_folder) below.replace_extension();
    for (const fs::path& part : below) video.parts.push_back(part.string());
    found_.push_back(std::move(video));
  }

  fs::path top_;
  Tallies& ignored_;
  LoosePictures loose_;
  std::vector<FoundVideo> found_;
};

}  // namespace

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

bool is_video_name(const fs::path& path) { return has_extension(path, kVideos); }

void Tallies::add(const std::string& what, const std::string& name) {
  auto found = std::find_if(tallies_.begin(), tallies_.end(),
                            [&](const Tally& tally) { return tally.what == what; });
  if (found == tallies_.end()) found = tallies_.insert(tallies_.end(), Tally{what, 0, {}});
  ++found->count;
  // The first by name: folders are read in whatever order the file system has.
  auto& first = found->first;
  first.insert(std::upper_bound(first.begin(), first.end(), name), name);
  if (first.size() > Tally::kFirst) first.pop_back();
}

void Tallies::add(const std::string& what, const fs::path& path) {
  add(what, path.lexically_relative(root_).generic_string());
}

std::vector<Tally> Tallies::take() {
  std::sort(tallies_.begin(), tallies_.end(),
            [](const Tally& a, const Tally& b) { return a.what < b.what; });
  return std::exchange(tallies_, {});
}

std::vector<FoundVideo> find_videos(const fs::path& folder, Tallies& ignored, LoosePictures loose) {
  std::vector<FoundVideo> found = Walker(folder, ignored, loose).walk();
  std::sort(found.begin(), found.end(), [](const FoundVideo& a, const FoundVideo& b) {
    return a.path.native() < b.path.native();
  });
  return found;
}

std::vector<std::string> folders_in(const fs::path& directory) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory() && !name.starts_with('.')) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

fs::path folder_named(const fs::path& directory, const std::string& name) {
  if (fs::is_directory(directory / name)) return directory / name;
  for (const std::string& folder : folders_in(directory)) {
    if (lower(folder) == lower(name)) return directory / folder;
  }
  return {};
}

std::string listing(const std::vector<std::string>& names) {
  if (names.empty()) return "no folders";
  const size_t shown = std::min<size_t>(names.size(), 8);
  std::vector<std::string> first(names.begin(), names.begin() + static_cast<ptrdiff_t>(shown));
  for (std::string& name : first) name = text::format("'{}'", one_line(name));
  return text::format("{}{}", text::join(first, ", "), shown < names.size() ? ", ..." : "");
}

void SampleCollector::add(VideoSample sample, bool is_folder) {
  const auto [at, is_new] = samples_.try_emplace(sample.name, sample, is_folder);
  if (is_new) return;
  auto& [kept, kept_is_folder] = at->second;
  if (kept_is_folder && !is_folder) {
    std::swap(kept, sample);
    kept_is_folder = false;
  }
  ignored_.add("the same video a second time", sample.path);
}

void SampleCollector::finish_folder(VideoFolder folder) {
  folder.videos = static_cast<int64_t>(samples_.size());
  set_.folders.push_back(std::move(folder));
  for (auto& [name, sample] : samples_) set_.videos.push_back(std::move(sample.first));
  samples_.clear();
}

}  // namespace verace::data
