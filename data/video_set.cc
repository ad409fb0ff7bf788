// Which kind of data set a folder is.
#include "data/video_set.h"

#include "data/text.h"
#include "data/video_sets/files.h"
#include "data/video_sets/kinds.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data {
namespace {

namespace fs = std::filesystem;

// The data set may lie one folder deeper: archives bring a folder of their own.
std::string hint(const fs::path& root) {
  for (const std::string& name : folders_in(root)) {
    const fs::path inner = root / name;
    for (const char* mark : {"Celeb-real", "Celeb-synthesis", "YouTube-real", "original_sequences",
                             "manipulated_sequences"}) {
      if (!folder_named(inner, mark).empty()) {
        return text::format("; did you mean {}?", name_of(inner));
      }
    }
  }
  return "";
}

VideoSet recognise(const fs::path& root, const VideoSetOptions& options) {
  if (!fs::exists(root)) {
    fail_input(text::format("{}: no such video or folder; check the path", name_of(root)));
  }
  const bool is_folder = fs::is_directory(root);
  std::optional<VideoSet> set;
  if (!is_folder) set = load_single_video(root);
  if (!set) set = load_celeb_df(root);
  if (!set) set = load_faceforensics(root, options);
  const bool is_faceforensics = set && set->kind.starts_with("FaceForensics++");
  if (!is_faceforensics && !(options.compression.empty() && options.methods.empty())) {
    fail_input(text::format(
        "{}: is not FaceForensics++: it has no compressions or methods to choose", name_of(root)));
  }
  if (!set) set = load_class_folders(root);
  if (!set) set = load_single_video(root);
  // Before any folder whatsoever: half of a data set must not be taken for unlabelled videos.
  const std::string deeper = set ? "" : hint(root);
  if (!set && deeper.empty()) set = load_unlabelled(root);
  if (!set) {
    fail_input(text::format(
        "{}: holds no videos and no data set that we know (Celeb-DF, FaceForensics++, folders real "
        "and fake); found {}{}",
        name_of(root), listing(folders_in(root)), deeper));
  }
  return std::move(*set);
}

}  // namespace

VideoSet load_video_set(const fs::path& root, const VideoSetOptions& options) {
  try {
    VideoSet set = recognise(root, options);
    if (set.videos.empty()) {
      std::vector<std::string> folders;
      for (const VideoFolder& folder : set.folders) folders.push_back(folder.name);
      fail_input(text::format("{}: looks like {}, but there are no videos in {}", name_of(root),
                              set.kind, text::join(folders, ", ")));
    }
    return set;
  } catch (const fs::filesystem_error& error) {
    const fs::path& where = error.path1().empty() ? root : error.path1();
    fail_input(text::format("{}: cannot be read ({})", name_of(where), error.code().message()));
  }
}

}  // namespace verace::data
