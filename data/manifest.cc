// Reads manifests column by column, with errors that name the line.
#include "data/manifest.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <unordered_map>

#include "data/csv.h"
#include "data/text.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxManifestBytes = int64_t{1} << 30;
constexpr float kMaxCoordinate = 1e6F;  // pixels; boxes may reach beyond their picture

// Places in kManifestColumns.
enum Column { kPath, kLabel, kVideo, kIdentity, kSplit, kBox = 8, kLandmarks = 12 };
constexpr size_t kBoxColumns = 4;
constexpr size_t kLandmarkColumns = 2 * kFaceLandmarks;
static_assert(kLandmarks + kLandmarkColumns == kManifestColumns.size());

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
  [[noreturn]] void fail(int64_t line, const std::string& what) const {
    fail_input(text::format("{}:{}: {}", name_, line, what));
  }

  void read_header(const CsvRecord& header) {
    for (size_t i = 0; i < header.fields.size(); ++i) {
      const std::string& field = header.fields[i];
      const auto column = index_of(kManifestColumns, field);
      if (!column) {
        dataset_.ignored_columns.push_back(field);
      } else if (place_[*column]) {
        fail(header.line, text::format("two columns are named '{}'; remove one", field));
      } else {
        place_[*column] = i;
      }
    }
    check_all_or_none(header.line, kBox, kBoxColumns, "box");
    check_all_or_none(header.line, kLandmarks, kLandmarkColumns, "landmarks");
    if (place_[kPath] && place_[kLabel]) return;
    fail(header.line,
         text::format("the header needs the columns path and label, separated by commas; "
                      "found {}",
                      one_line(text::format("{}", text::join(header.fields, " | ")))));
  }

  // Part of a box is a mistake of whoever wrote the file.
  void check_all_or_none(int64_t line, size_t first, size_t count, const char* what) const {
    for (size_t i = first; i < first + count; ++i) {
      if (place_[i].has_value() == place_[first].has_value()) continue;
      const size_t absent = place_[i] ? first : i;
      fail(line, text::format("of the columns of the {} '{}' is missing; give all or none", what,
                              kManifestColumns[absent]));
    }
  }

  std::string field(const CsvRecord& record, size_t column) const {
    return place_[column] ? record.fields[*place_[column]] : std::string();
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
    result.label = label(record);
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

  int32_t label(const CsvRecord& record) const {
    const std::string written = field(record, kLabel);
    if (written.empty()) {
      fail(record.line,
           "the label is empty: whether this face is real or fake is not known, so that it can be "
           "judged (verace predict), but neither teach nor test; label it or remove the line");
    }
    if (written != "real" && written != "fake" && written != "0" && written != "1") {
      fail(record.line,
           text::format("label '{}' is none of real, fake, 0 (real), 1 (fake)", one_line(written)));
    }
    return written == "fake" || written == "1" ? kFake : kReal;
  }

  void read_face(const CsvRecord& record, Sample& sample) const {
    std::array<float, kBoxColumns> box{};
    if (read_numbers(record, kBox, box, "box")) {
      if (!(box[0] < box[2] && box[1] < box[3])) {
        fail(record.line, text::format("the box from ({}, {}) to ({}, {}) is empty; x1 < x2 and "
                                       "y1 < y2 are needed",
                                       box[0], box[1], box[2], box[3]));
      }
      sample.box = FaceBox{box[0], box[1], box[2], box[3]};
    }
    std::array<float, kLandmarkColumns> points{};
    if (read_numbers(record, kLandmarks, points, "landmarks")) {
      auto& landmarks = sample.landmarks.emplace();
      for (size_t i = 0; i < landmarks.size(); ++i) {
        landmarks[i] = {points[2 * i], points[2 * i + 1]};
      }
    }
  }

  // Consecutive columns, in pixels; false where all of them are empty.
  template <size_t kCount>
  bool read_numbers(const CsvRecord& record, size_t first, std::array<float, kCount>& numbers,
                    const char* what) const {
    size_t empty = 0;
    for (size_t i = 0; i < kCount; ++i) empty += field(record, first + i).empty() ? 1 : 0;
    if (empty == kCount) return false;
    for (size_t i = 0; i < kCount; ++i) {
      const std::string written = field(record, first + i);
      const char* name = kManifestColumns[first + i];
      if (written.empty()) {
        fail(record.line, text::format("{} is empty, but other parts of the {} are not; give all "
                                       "or none",
                                       name, what));
      }
      const char* end = written.data() + written.size();
      const auto [stop, error] = std::from_chars(written.data(), end, numbers[i]);
      const bool good = error == std::errc{} && stop == end && std::isfinite(numbers[i]) &&
                        std::abs(numbers[i]) <= kMaxCoordinate;
      if (!good) {
        fail(record.line, text::format("{} '{}' is not a number of pixels (at most {})", name,
                                       one_line(written), kMaxCoordinate));
      }
    }
    return true;
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
  std::array<std::optional<size_t>, kManifestColumns.size()> place_;  // in the file
  std::unordered_map<std::string, VideoLabel> video_labels_;
  Dataset dataset_;
};

}  // namespace

Dataset read_manifest(const fs::path& path) { return ManifestReader(path).read(); }

}  // namespace verace::data
