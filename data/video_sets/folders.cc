// Data sets without a name: folders real and fake, single videos, and any folder with videos in it.
#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>

#include "data/picture_name.h"
#include "data/text.h"
#include "data/video_sets/copies.h"
#include "data/video_sets/files.h"
#include "data/video_sets/kinds.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data {
namespace {

namespace fs = std::filesystem;

// The folders of `directory` that have these names in any case.
template <size_t kCount>
std::array<std::vector<std::string>, kCount> named_folders(
    const fs::path& directory, const std::array<const char*, kCount>& names) {
  std::array<std::vector<std::string>, kCount> found;
  for (const std::string& folder : folders_in(directory)) {
    for (size_t i = 0; i < kCount; ++i) {
      if (lower(folder) == names[i]) found[i].push_back(folder);
    }
  }
  return found;
}

bool has_classes(const fs::path& directory) {
  const auto classes = named_folders(directory, kClassNames);
  return !classes[kReal].empty() || !classes[kFake].empty();
}

class ClassFolders {
 public:
  explicit ClassFolders(const fs::path& root) : notes_(root) { set_.root = root; }

  VideoSet read(bool has_splits) {
    if (has_splits) {
      const auto splits = named_folders(set_.root, kSplitNames);
      for (size_t split = 0; split < splits.size(); ++split) {
        for (const std::string& folder : splits[split]) {
          read_classes(folder + "/", static_cast<Split>(split));
        }
      }
    } else {
      read_classes("", std::nullopt);
    }
    find_copies(set_.videos, notes_);
    set_.kind = has_splits ? "folders of real and fake videos, divided" : "folders real and fake";
    set_.has_official = has_splits;
    set_.official =
        has_splits ? "the folders train, val, test" : "there are no folders train, val, test";
    set_.notes = notes_.take();
    return std::move(set_);
  }

 private:
  void read_classes(const std::string& split_folder, std::optional<Split> split) {
    SampleCollector collector(set_, notes_);
    const auto classes = named_folders(set_.root / split_folder, kClassNames);
    for (size_t label = 0; label < classes.size(); ++label) {
      for (const std::string& folder : classes[label]) {
        const std::string below = split_folder + folder;
        for (const FoundVideo& found :
             find_videos(set_.root / below, notes_, LoosePictures::kVideos)) {
          const std::string inside = text::join(found.parts, "/");
          VideoSample sample{
              found.path, static_cast<int32_t>(label), below + "/" + inside, "", split, {}};
          // Folders of frames with one name are one video, also where it was cut into splits.
          // Files are not: flat sets number each split from 1.
          if (found.is_folder && split) {
            sample.sources = {text::format("{}/{}", kClassNames[label], inside)};
          }
          collector.add(std::move(sample), found.is_folder);
        }
        collector.finish_folder({below, static_cast<int32_t>(label), 0, 0});
      }
    }
  }

  VideoSet set_;
  Tallies notes_;
};

}  // namespace

std::optional<VideoSet> load_class_folders(const fs::path& root) {
  bool has_splits = false;
  for (const auto& folders : named_folders(root, kSplitNames)) {
    for (const std::string& folder : folders) has_splits |= has_classes(root / folder);
  }
  if (!has_splits && !has_classes(root)) return std::nullopt;
  return ClassFolders(root).read(has_splits);
}

std::optional<VideoSet> load_single_video(const fs::path& path) {
  const bool is_folder = fs::is_directory(path);
  if (is_folder) {
    const bool has_pictures =
        std::any_of(fs::directory_iterator(path), fs::directory_iterator(),
                    [](const fs::directory_entry& entry) {
                      return !entry.is_directory() && is_picture_name(entry.path());
                    });
    if (!has_pictures) return std::nullopt;
  }
  // "clips/" has no file name.
  fs::path name = path.lexically_normal();
  if (name.filename().empty()) name = name.parent_path();
  if (!is_folder) name.replace_extension();
  VideoSet set;
  set.kind = is_folder ? "one folder of frames" : "one video";
  set.root = path;
  set.videos = {{path, std::nullopt, name.generic_string(), "", std::nullopt, {}}};
  set.folders = {{path.filename().string(), std::nullopt, 1, 0}};
  set.official = "one video has no splits";
  return set;
}

std::optional<VideoSet> load_unlabelled(const fs::path& root) {
  VideoSet set;
  set.root = root;
  set.kind = "videos without labels";
  set.official = "nothing divides these videos";
  Tallies notes(root);
  SampleCollector collector(set, notes);
  for (const FoundVideo& found : find_videos(root, notes)) {
    collector.add({found.path, std::nullopt, text::join(found.parts, "/"), "", std::nullopt, {}},
                  found.is_folder);
  }
  collector.finish_folder({".", std::nullopt, 0, 0});
  find_copies(set.videos, notes);
  set.notes = notes.take();
  if (set.videos.empty()) return std::nullopt;
  return set;
}

}  // namespace verace::data
