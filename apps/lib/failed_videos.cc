// Reading accounts of face extraction, and counting what has failed.
#include "apps/lib/failed_videos.h"

#include <algorithm>
#include <charconv>

#include "data/csv.h"
#include "data/text.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

constexpr int64_t kMostAccountBytes = int64_t{1} << 30;

// An account with the places of its columns.
class Account {
 public:
  explicit Account(const std::filesystem::path& path)
      : name_(data::name_of(path)), records_(read(path)) {
    if (records_.empty()) fail_input(name_ + ": is empty: run verace faces again");
    for (const char* column : {"path", "looked_at", "faces"}) {
      if (place(column)) continue;
      fail_input(text::format(
          "{}: has no column {}, so it is no account of verace faces: remove it, or name the "
          "manifest of another folder",
          name_, column));
    }
  }

  size_t size() const { return records_.size() - 1; }
  bool has(const char* column) const { return place(column).has_value(); }
  // "" without the column.
  std::string text(size_t row, const char* column) const {
    const std::optional<size_t> at = place(column);
    return at ? records_[row + 1].fields[*at] : std::string();
  }
  int64_t count(size_t row, const char* column) const {
    const std::string field = text(row, column);
    int64_t value = -1;
    const char* end = field.data() + field.size();
    const auto [stop, error] = std::from_chars(field.data(), end, value);
    if (error != std::errc() || stop != end || value < 0) {
      refuse(row, text::format("{} '{}' is not a whole number", column, field));
    }
    return value;
  }
  // The place of a field's word in `words`; nothing for an empty field.
  template <size_t N>
  std::optional<size_t> word(size_t row, const char* column,
                             const std::array<const char*, N>& words) const {
    const std::string field = text(row, column);
    if (field.empty()) return std::nullopt;
    const auto found = std::ranges::find(words, field);
    if (found == words.end()) refuse(row, text::format("{} '{}' is not known", column, field));
    return static_cast<size_t>(found - words.begin());
  }

 private:
  static std::vector<data::CsvRecord> read(const std::filesystem::path& path) {
    const std::vector<std::byte> bytes = data::read_file(path, kMostAccountBytes, "account");
    return data::parse_csv({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                           data::name_of(path));
  }
  std::optional<size_t> place(const char* column) const {
    const std::vector<std::string>& header = records_.front().fields;
    const auto found = std::ranges::find(header, column);
    if (found == header.end()) return std::nullopt;
    return static_cast<size_t>(found - header.begin());
  }
  [[noreturn]] void refuse(size_t row, const std::string& why) const {
    fail_input(text::format("{}:{}: {}: run verace faces again", name_, records_[row + 1].line,
                            data::name_of(why)));
  }

  std::string name_;
  std::vector<data::CsvRecord> records_;
};

}  // namespace

std::vector<FailedVideo> read_failed_videos(const std::filesystem::path& path,
                                            const std::optional<data::Split>& split) {
  const Account account(path);
  std::vector<FailedVideo> failed;
  for (size_t row = 0; row < account.size(); ++row) {
    const std::optional<size_t> of = account.word(row, "split", data::kSplitNames);
    if (split && of && *of != static_cast<size_t>(*split)) continue;
    if (account.count(row, "faces") > 0) continue;
    FailedVideo video;
    video.video = account.text(row, account.has("video") ? "video" : "path");
    if (const auto label = account.word(row, "label", data::kClassNames)) {
      video.label = static_cast<int32_t>(*label);
    }
    video.reason = account.count(row, "looked_at") == 0 ? kCannotBeRead : "no face found";
    for (const char* column : {"shortfall", "damage"}) {
      const std::string text = data::name_of(account.text(row, column));
      if (!text.empty()) video.detail += (video.detail.empty() ? "" : "; ") + text;
    }
    failed.push_back(std::move(video));
  }
  return failed;
}

FailedCounts count_failed(const std::vector<FailedVideo>& failed) {
  FailedCounts counts;
  for (const FailedVideo& video : failed) {
    ++counts.count;
    ++counts.by_reason[video.reason];
    if (video.label) ++counts.by_label[static_cast<size_t>(*video.label)];
  }
  return counts;
}

AccuracyWithFailed with_failed(const Metrics& videos, const FailedCounts& failed) {
  AccuracyWithFailed result;
  std::array<int64_t, 2> right{}, all{};
  for (size_t label = 0; label < 2; ++label) {
    const auto& row = videos.confusion[label];
    right[label] = row[label];
    all[label] = row[0] + row[1] + failed.by_label[label];
  }
  const auto share = [](int64_t part, int64_t whole) {
    return static_cast<double>(part) / static_cast<double>(whole);
  };
  if (all[0] + all[1] > 0) result.accuracy = share(right[0] + right[1], all[0] + all[1]);
  if (all[0] > 0 && all[1] > 0) {
    result.balanced_accuracy = (share(right[0], all[0]) + share(right[1], all[1])) / 2;
  }
  return result;
}

}  // namespace verace::apps
