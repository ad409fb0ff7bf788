// Celeb-DF, versions 1 and 2: names give persons and sources, a list gives the test videos.
#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "data/text.h"
#include "data/video_sets/files.h"
#include "data/video_sets/kinds.h"
#include "data/video_sets/lists.h"
#include "data/video_sets/names.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data {
namespace {

namespace fs = std::filesystem;

constexpr const char* kListName = "List_of_testing_videos.txt";

struct ClassFolder {
  const char* name;
  int32_t label;
  const char* form;                  // of its names
  std::array<int64_t, 2> published;  // videos in version 1 and 2
};
constexpr std::array<ClassFolder, 3> kFolders{{
    {"Celeb-real", kReal, "idA_NNNN", {158, 590}},
    {"YouTube-real", kReal, "NNNNN", {250, 300}},
    {"Celeb-synthesis", kFake, "idA_idB_NNNN", {795, 5639}},
}};
constexpr std::array<int64_t, 2> kListSizes{100, 518};

// What the name of a video says; nothing where it has another form.
std::optional<VideoSample> from_name(const ClassFolder& folder, const std::string& name) {
  VideoSample sample;
  sample.label = folder.label;
  sample.name = text::format("{}/{}", folder.name, name);
  NameReader reader(name);
  const bool of_celebrity = std::string_view(folder.name) != "YouTube-real";
  if (!of_celebrity) {
    return !reader.number().empty() && reader.done() ? std::optional(sample) : std::nullopt;
  }
  const auto person = [&]() -> std::string {
    if (!reader.take("id")) return "";
    const std::string_view number = reader.number();
    return number.empty() || !reader.take("_") ? "" : text::format("id{}", number);
  };
  const std::string target = person();
  if (target.empty()) return std::nullopt;
  sample.identity = target;
  if (folder.label == kFake) {
    const std::string donor = person();
    if (donor.empty()) return std::nullopt;
    // The same person twice would say nothing new.
    if (donor != target) sample.identity += "+" + donor;
    sample.sources = {text::format("Celeb-real/{}_{}", target, reader.rest())};
  }
  if (reader.number().empty() || !reader.done()) return std::nullopt;
  return sample;
}

class CelebReader {
 public:
  explicit CelebReader(const fs::path& root) : notes_(root) { set_.root = root; }

  VideoSet read() {
    SampleCollector collector(set_, notes_);
    for (const ClassFolder& folder : kFolders) {
      const fs::path path = folder_named(set_.root, folder.name);
      if (path.empty()) continue;
      for (const FoundVideo& found : find_videos(path, notes_)) add(folder, found, collector);
      collector.finish_folder({folder.name, folder.label, 0, 0});
    }
    const bool has_list = fs::exists(set_.root / kListName);
    if (has_list) read_list();
    set_.has_official = has_list;
    set_.official = has_list ? text::format("{}: {} videos", kListName, listed_)
                             : text::format("{} is missing; fetch it with the data set", kListName);
    tell_version();
    set_.notes = notes_.take();
    return std::move(set_);
  }

 private:
  void add(const ClassFolder& folder, const FoundVideo& found, SampleCollector& collector) {
    // "id0_0000.mp4", "frames/id0_0000/", "id0_0000/frames/"
    for (auto part = found.parts.rbegin(); part != found.parts.rend(); ++part) {
      if (auto sample = from_name(folder, *part)) {
        sample->path = found.path;
        collector.add(std::move(*sample), found.is_folder);
        return;
      }
    }
    notes_.add(text::format("its name is not of the form {}", folder.form), found.path);
  }

  void read_list() {
    const fs::path path = set_.root / kListName;
    const std::vector<std::byte> bytes = read_file(path, kMaxListBytes, "list of test videos");
    const std::vector<TestListEntry> entries =
        parse_test_list({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, name_of(path));
    cross_check(entries, name_of(path));
    std::map<std::string, VideoSample*> here;
    for (VideoSample& sample : set_.videos) here.emplace(sample.name, &sample);
    std::set<std::string> seen;
    for (const TestListEntry& entry : entries) {
      const std::string name = text::format("{}/{}", class_folder(entry.folder)->name,
                                            fs::path(entry.file).stem().string());
      if (!seen.insert(name).second) {
        notes_.add("listed for testing more than once", name);
      } else if (const auto found = here.find(name); found != here.end()) {
        found->second->split = Split::kTest;
      } else {
        notes_.add("listed for testing, but not here", name);
      }
    }
    listed_ = static_cast<int64_t>(seen.size());
  }

  // The class of a video is its folder's; a list that says otherwise is wrong, or was made with the
  // usual meaning of labels.
  static void cross_check(const std::vector<TestListEntry>& entries, const std::string& name) {
    const TestListEntry* wrong = nullptr;
    size_t count = 0;
    for (const TestListEntry& entry : entries) {
      const ClassFolder* folder = class_folder(entry.folder);
      if (folder == nullptr) {
        fail_input(text::format(
            "{}:{}: '{}' is no folder of Celeb-DF (Celeb-real, YouTube-real, Celeb-synthesis)",
            name, entry.line, one_line(entry.folder)));
      }
      if (entry.real == (folder->label == kReal)) continue;
      if (wrong == nullptr) wrong = &entry;
      ++count;
    }
    if (wrong == nullptr) return;
    fail_input(text::format(
        "{}:{}: label {} calls {}/{} {}, its folder holds {} videos ({} of {} lines contradict "
        "their folders{}); in Celeb-DF's list 1 is real and 0 is fake: fetch it again",
        name, wrong->line, wrong->real ? 1 : 0, one_line(wrong->folder), one_line(wrong->file),
        wrong->real ? "real" : "fake", wrong->real ? "fake" : "real", count, entries.size(),
        count == entries.size() ? ": its labels are inverted" : ""));
  }

  // Told by the list; where there is none, only numbers beyond version 1's tell.
  void tell_version() {
    size_t version = 0;  // index + 1
    for (size_t i = 0; i < kListSizes.size(); ++i) {
      if (listed_ == kListSizes[i]) version = i + 1;
    }
    for (const VideoFolder& folder : set_.folders) {
      if (folder.videos <= class_folder(folder.name)->published[0]) continue;
      if (version == 1) {
        notes_.add("more videos than Celeb-DF v1 has, whose list this is: is it the right one?",
                   folder.name);
      }
      version = 2;
    }
    if (listed_ > 0 &&
        std::find(kListSizes.begin(), kListSizes.end(), listed_) == kListSizes.end()) {
      notes_.add(
          text::format("{} videos where version 1 lists {} and version 2 lists {}: parts are "
                       "missing, or it is another list",
                       listed_, kListSizes[0], kListSizes[1]),
          std::string(kListName));
    }
    set_.kind = version == 0 ? "Celeb-DF" : text::format("Celeb-DF v{}", version);
    if (version == 0) return;
    for (VideoFolder& folder : set_.folders) {
      folder.published = class_folder(folder.name)->published[version - 1];
    }
  }

  // In any case; null: it is none of them.
  static const ClassFolder* class_folder(const std::string& name) {
    const auto found =
        std::find_if(kFolders.begin(), kFolders.end(),
                     [&](const ClassFolder& folder) { return lower(name) == lower(folder.name); });
    return found == kFolders.end() ? nullptr : &*found;
  }

  VideoSet set_;
  Tallies notes_;
  int64_t listed_ = 0;
};

}  // namespace

std::optional<VideoSet> load_celeb_df(const fs::path& root) {
  const bool is_celeb_df =
      std::any_of(kFolders.begin(), kFolders.end(),
                  [&](const ClassFolder& folder) { return fs::is_directory(root / folder.name); });
  if (!is_celeb_df) return std::nullopt;
  return CelebReader(root).read();
}

}  // namespace verace::data
