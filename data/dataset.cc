// The reader of directory trees, and what data sets of every form share: counts and selection.
#include "data/dataset.h"

#include <algorithm>
#include <optional>

#include "data/leak_check.h"
#include "data/manifest.h"
#include "data/picture_name.h"
#include "data/text.h"
#include "data/video_sets/files.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxDepth = 32;  // deeper trees are links in a circle

class TreeReader {
 public:
  explicit TreeReader(const fs::path& root) : root_(root) {}

  Dataset read() {
    const std::vector<std::string> found = folders_in(root_);
    bool any = false;
    for (size_t split = 0; split < kSplitNames.size(); ++split) {
      if (std::find(found.begin(), found.end(), kSplitNames[split]) == found.end()) continue;
      any = true;
      read_split(static_cast<Split>(split));
    }
    if (!any) {
      fail_input(
          text::format("{}: needs folders train, val or test with real and fake inside; found {}",
                       name_of(root_), listing(found)));
    }
    return std::move(dataset_);
  }

 private:
  void read_split(Split split) {
    const fs::path directory = root_ / kSplitNames[static_cast<size_t>(split)];
    const std::vector<std::string> found = folders_in(directory);
    for (const std::string& name : found) {
      if (!index_of(kClassNames, name)) {
        fail_input(text::format("{}: the classes must be folders named real and fake; found {}",
                                name_of(directory), listing(found)));
      }
    }
    for (size_t label = 0; label < kClassNames.size(); ++label) {
      if (std::find(found.begin(), found.end(), kClassNames[label]) == found.end()) continue;
      read_class(directory / kClassNames[label], split, static_cast<int32_t>(label));
    }
  }

  void read_class(const fs::path& directory, Split split, int32_t label) {
    const auto first = static_cast<ptrdiff_t>(dataset_.samples.size());
    auto it = fs::recursive_directory_iterator(directory,
                                               fs::directory_options::follow_directory_symlink);
    for (; it != fs::recursive_directory_iterator(); ++it) {
      if (it.depth() > kMaxDepth) {
        fail_input(text::format("{}: more than {} folders deep; remove links that lead in a circle",
                                name_of(directory), kMaxDepth));
      }
      if (it->is_directory()) continue;
      if (!it->is_regular_file() || !is_picture_name(it->path())) {
        ++dataset_.ignored_files;
        continue;
      }
      dataset_.samples.push_back(sample(it->path(), directory, split, label));
    }
    std::sort(dataset_.samples.begin() + first, dataset_.samples.end(),
              [](const Sample& a, const Sample& b) { return a.path.native() < b.path.native(); });
  }

  Sample sample(const fs::path& path, const fs::path& class_directory, Split split,
                int32_t label) const {
    const fs::path below = path.lexically_relative(class_directory);
    const std::string class_name = kClassNames[static_cast<size_t>(label)];
    // A picture of its own gets the split into its name: flat sets number each split from 1, and
    // equal numbers there do not mean equal videos.
    const std::string video =
        below.has_parent_path() ? class_name + "/" + below.parent_path().generic_string()
                                : text::format("{}/{}/{}", kSplitNames[static_cast<size_t>(split)],
                                               class_name, below.string());
    return {path, label, video, "", split};
  }

  fs::path root_;
  Dataset dataset_;
};

Dataset read_any(const fs::path& path) {
  try {
    if (!fs::exists(path)) {
      fail_input(text::format("{}: no such directory or manifest; check the path of the data set",
                              name_of(path)));
    }
    return fs::is_directory(path) ? TreeReader(path).read() : read_manifest(path);
  } catch (const fs::filesystem_error& error) {
    const fs::path& where = error.path1().empty() ? path : error.path1();
    fail_input(text::format("{}: cannot be read ({})", name_of(where), error.code().message()));
  }
}

}  // namespace

Dataset load_dataset(const fs::path& dir_or_csv, const DatasetOptions& options) {
  Dataset dataset = read_any(dir_or_csv);
  const std::string name = name_of(dir_or_csv);
  if (dataset.samples.empty()) {
    fail_input(text::format("{}: no pictures (.jpg .jpeg .png .bmp); {} other files were ignored",
                            name, dataset.ignored_files));
  }
  dataset.leak_report = describe_leaks(dataset.samples);
  if (!dataset.leak_report.empty() && !options.allow_leak) {
    fail_input(text::format("{}: {}; divide by video and identity, or accept it with --allow-leak",
                            name, dataset.leak_report));
  }
  return dataset;
}

ClassCounts count_classes(const Dataset& dataset) {
  ClassCounts counts{};
  for (const Sample& sample : dataset.samples) {
    ++counts[static_cast<size_t>(sample.split)][static_cast<size_t>(sample.label)];
  }
  return counts;
}

std::vector<Sample> select_split(const Dataset& dataset, Split split,
                                 const std::string& name_for_errors) {
  const auto counts = count_classes(dataset)[static_cast<size_t>(split)];
  for (size_t label = 0; label < kClassNames.size(); ++label) {
    if (counts[label] > 0) continue;
    fail_input(text::format(
        "{}: no pictures of class {} in split {}; add some or ask for another "
        "split",
        one_line(name_for_errors), kClassNames[label], kSplitNames[static_cast<size_t>(split)]));
  }
  std::vector<Sample> chosen;
  std::copy_if(dataset.samples.begin(), dataset.samples.end(), std::back_inserter(chosen),
               [&](const Sample& sample) { return sample.split == split; });
  return chosen;
}

}  // namespace verace::data
