// The two readers of data sets, and what both share: counts and selection.
#include "data/dataset.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <unordered_map>

#include "data/csv.h"
#include "data/leak_check.h"
#include "data/text.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxManifestBytes = int64_t{1} << 30;
constexpr int kMaxDepth = 32;  // deeper trees are links in a circle

template <size_t kCount>
std::optional<size_t> index_of(const std::array<const char*, kCount>& names,
                               const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<size_t>(found - names.begin());
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// Hidden files are never pictures: some systems leave ._name.jpg beside name.jpg.
bool is_picture_name(const fs::path& path) {
  const std::string extension = lower(path.extension().string());
  const bool known =
      extension == ".jpg" || extension == ".jpeg" || extension == ".png" || extension == ".bmp";
  return known && !path.filename().native().starts_with('.');
}

// The names of the sub-directories, sorted; hidden ones are left out.
std::vector<std::string> folders_in(const fs::path& directory) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory() && !name.starts_with('.')) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string listing(const std::vector<std::string>& names) {
  if (names.empty()) return "no folders";
  const size_t shown = std::min<size_t>(names.size(), 8);
  std::vector<std::string> first(names.begin(), names.begin() + static_cast<ptrdiff_t>(shown));
  for (std::string& name : first) name = text::format("'{}'", one_line(name));
  return text::format("{}{}", text::join(first, ", "), shown < names.size() ? ", ..." : "");
}

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
    return {path, label, video, "", split, {}, {}, false};
  }

  fs::path root_;
  Dataset dataset_;
};

class ManifestReader {
 public:
  explicit ManifestReader(const fs::path& path) : path_(path), name_(name_of(path)) {}

  Dataset read() {
    const std::vector<std::byte> bytes = read_file(path_, kMaxManifestBytes, "manifest");
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::vector<CsvRecord> records = parse_csv(text, name_);
    if (records.empty()) fail_input(text::format("{}: empty; needs a header path,label", name_));
    read_header(records.front());
    for (size_t i = 1; i < records.size(); ++i) {
      dataset_.samples.push_back(sample(records[i]));
      check_video_label(dataset_.samples.back(), records[i].line);
    }
    return std::move(dataset_);
  }

 private:
  enum Column { kPath, kLabel, kVideo, kIdentity, kSplit, kBox, kLandmarks = kBox + 4 };
  static constexpr size_t kColumns = kLandmarks + 2 * kFaceLandmarks;
  static constexpr std::array<const char*, kColumns> kNames{
      "path",         "label",  "video",  "identity",     "split",        "x1",
      "y1",           "x2",     "y2",     "left_eye_x",   "left_eye_y",   "right_eye_x",
      "right_eye_y",  "nose_x", "nose_y", "left_mouth_x", "left_mouth_y", "right_mouth_x",
      "right_mouth_y"};
  static constexpr std::array<const char*, 3> kPassedOver{"frame", "seconds", "score"};

  [[noreturn]] void fail(int64_t line, const std::string& what) const {
    fail_input(text::format("{}:{}: {}", name_, line, what));
  }

  void read_header(const CsvRecord& header) {
    for (size_t i = 0; i < header.fields.size(); ++i) {
      const std::string& field = header.fields[i];
      const auto column = index_of(kNames, field);
      if (index_of(kPassedOver, field)) continue;
      if (!column) {
        dataset_.ignored_columns.push_back(field);
      } else if (place_[*column]) {
        fail(header.line, text::format("two columns are named '{}'; remove one", field));
      } else {
        place_[*column] = i;
      }
    }
    if (place_[kPath] && place_[kLabel]) return;
    fail(header.line,
         text::format("the header needs the columns path and label, separated by commas; "
                      "found {}",
                      one_line(text::format("{}", text::join(header.fields, " | ")))));
  }

  std::string field(const CsvRecord& record, size_t column) const {
    return place_[column] ? record.fields[*place_[column]] : std::string();
  }

  // kCount numbers from the column `first` on; empty where none of them is filled in.
  template <size_t kCount>
  std::optional<std::array<float, kCount>> numbers(const CsvRecord& record, size_t first) const {
    std::array<float, kCount> values{};
    size_t filled = 0;
    for (size_t i = 0; i < kCount; ++i) {
      const std::string written = field(record, first + i);
      if (written.empty()) continue;
      ++filled;
      const char* end = written.data() + written.size();
      const auto [rest, error] = std::from_chars(written.data(), end, values[i]);
      if (error != std::errc() || rest != end || !std::isfinite(values[i])) {
        fail(record.line,
             text::format("{} '{}' is no number", kNames[first + i], one_line(written)));
      }
    }
    if (filled == 0) return std::nullopt;
    if (filled < kCount) {
      fail(record.line, text::format("only {} of the {} columns {} to {} are filled: fill all, or "
                                     "none",
                                     filled, kCount, kNames[first], kNames[first + kCount - 1]));
    }
    return values;
  }

  void read_face(const CsvRecord& record, Sample& sample) const {
    if (const auto box = numbers<4>(record, kBox)) {
      sample.box = {(*box)[0], (*box)[1], (*box)[2], (*box)[3]};
    }
    if (const auto points = numbers<size_t{2} * kFaceLandmarks>(record, kLandmarks)) {
      sample.landmarks.emplace();
      for (size_t i = 0; i < kFaceLandmarks; ++i) {
        (*sample.landmarks)[i] = {(*points)[2 * i], (*points)[2 * i + 1]};
      }
    }
  }

  Sample sample(const CsvRecord& record) const {
    Sample result;
    const std::string written = field(record, kPath);
    if (written.empty()) fail(record.line, "the path is empty");
    result.path = path_.parent_path() / written;  // an absolute one replaces the directory
    std::error_code error;
    if (!fs::is_regular_file(result.path, error)) {
      fail(record.line, text::format("{}: no such picture file; correct or remove the line",
                                     name_of(result.path)));
    }
    const std::string label = field(record, kLabel);
    if (label != "real" && label != "fake" && label != "0" && label != "1") {
      fail(record.line,
           text::format("label '{}' is none of real, fake, 0 (real), 1 (fake)", one_line(label)));
    }
    result.label = label == "fake" || label == "1" ? kFake : kReal;
    result.video = field(record, kVideo);
    if (result.video.empty()) {
      result.video = fs::path(written).lexically_normal().replace_extension().generic_string();
    }
    result.identity = field(record, kIdentity);
    const std::string split = field(record, kSplit);
    const auto index = index_of(kSplitNames, split.empty() ? kSplitNames[0] : split);
    if (!index) {
      fail(record.line, text::format("split '{}' is none of train, val, test", one_line(split)));
    }
    result.split = static_cast<Split>(*index);
    read_face(record, result);
    return result;
  }

  // A verdict on a video has one truth to be compared with.
  void check_video_label(const Sample& sample, int64_t line) {
    const auto [known, is_new] =
        video_labels_.try_emplace(sample.video, VideoLabel{sample.label, line});
    if (is_new || known->second.label == sample.label) return;
    fail(line,
         text::format("video '{}' is {} here and {} in line {}; correct the label or name the "
                      "videos apart",
                      one_line(sample.video), kClassNames[static_cast<size_t>(sample.label)],
                      kClassNames[static_cast<size_t>(known->second.label)], known->second.line));
  }

  struct VideoLabel {
    int32_t label;
    int64_t line;
  };

  fs::path path_;
  std::string name_;
  std::array<std::optional<size_t>, kColumns> place_;
  std::unordered_map<std::string, VideoLabel> video_labels_;
  Dataset dataset_;
};

Dataset read_any(const fs::path& path) {
  try {
    if (!fs::exists(path)) {
      fail_input(text::format("{}: no such directory or manifest; check the path of the data set",
                              name_of(path)));
    }
    return fs::is_directory(path) ? TreeReader(path).read() : ManifestReader(path).read();
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
