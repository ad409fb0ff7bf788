// FaceForensics++ as its download script lays it out: originals, methods, compressions, and the
// files of its splits.
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

// c0: the name of raw in the first release.
constexpr std::array<const char*, 4> kCompressions{"raw", "c0", "c23", "c40"};

// Videos of YouTube: originals "071", fakes "071_054" (target, source). Videos of actors, Google's
// DeepFakeDetection: "01__exit_phone_room", "01_02__exit_phone_room__YVGY8LOK".
enum class Naming : uint8_t { kYouTube, kActors };
struct Collection {
  const char* parent;
  const char* name;
  int32_t label;
  Naming naming;
  int64_t published;
};
constexpr std::array<Collection, 8> kCollections{{
    {"original_sequences", "youtube", kReal, Naming::kYouTube, 1000},
    {"original_sequences", "actors", kReal, Naming::kActors, 363},
    {"manipulated_sequences", "Deepfakes", kFake, Naming::kYouTube, 1000},
    {"manipulated_sequences", "Face2Face", kFake, Naming::kYouTube, 1000},
    {"manipulated_sequences", "FaceSwap", kFake, Naming::kYouTube, 1000},
    {"manipulated_sequences", "NeuralTextures", kFake, Naming::kYouTube, 1000},
    {"manipulated_sequences", "FaceShifter", kFake, Naming::kYouTube, 1000},
    {"manipulated_sequences", "DeepFakeDetection", kFake, Naming::kActors, 3068},
}};

const Collection* find_collection(const std::string& parent, const std::string& name) {
  const auto found = std::find_if(kCollections.begin(), kCollections.end(), [&](const auto& known) {
    return parent == known.parent && name == known.name;
  });
  return found == kCollections.end() ? nullptr : &*found;
}

std::vector<std::string> method_names() {
  std::vector<std::string> names;
  for (const Collection& known : kCollections) {
    if (known.label == kFake) names.emplace_back(known.name);
  }
  return names;
}

// Reads "071", "071_054", "01__scene", "01_02__scene__CODE".
std::optional<VideoSample> from_name(const Collection& collection, const std::string& name) {
  const bool actors = collection.naming == Naming::kActors;
  NameReader reader(name);
  std::vector<std::string> numbers;
  numbers.emplace_back(reader.number());
  if (collection.label == kFake && !reader.take("_")) return std::nullopt;
  if (collection.label == kFake) numbers.emplace_back(reader.number());
  const bool all_there =
      std::none_of(numbers.begin(), numbers.end(), [](const auto& n) { return n.empty(); });
  if (!all_there) return std::nullopt;
  const std::string end(reader.rest());
  if (actors ? end.size() < 3 || !end.starts_with("__") : !end.empty()) return std::nullopt;

  VideoSample sample;
  sample.label = collection.label;
  sample.name = text::format("{}/{}", collection.name, name);
  std::vector<std::string> persons;
  for (const std::string& number : numbers) persons.push_back((actors ? "actor" : "") + number);
  if (persons.back() == persons.front()) persons.resize(1);
  sample.identity = text::join(persons, "+");
  if (collection.label == kReal) return sample;
  if (!actors) {
    for (const std::string& number : numbers) sample.sources.push_back("youtube/" + number);
    return sample;
  }
  // The source played the same scene or another one: only the target's video is known.
  const size_t code = end.rfind("__");
  if (code == 0) return std::nullopt;
  sample.sources = {text::format("actors/{}{}", numbers.front(), end.substr(0, code))};
  return sample;
}

class ForensicsReader {
 public:
  ForensicsReader(const fs::path& root, const VideoSetOptions& options)
      : options_(options), notes_(root) {
    set_.root = root;
  }

  VideoSet read() {
    check_methods();
    find_collections();
    const std::string compression = choose_compression();
    SampleCollector collector(set_, notes_);
    for (const Collection* collection : chosen_) {
      const std::string name =
          text::format("{}/{}/{}", collection->parent, collection->name, compression);
      if (!fs::is_directory(set_.root / name)) continue;
      for (const FoundVideo& found : find_videos(set_.root / name, notes_)) {
        add(*collection, found, collector);
      }
      collector.finish_folder({name, collection->label, 0, collection->published});
    }
    read_splits();
    set_.kind = text::format("FaceForensics++, {}", compression);
    set_.notes = notes_.take();
    return std::move(set_);
  }

 private:
  void check_methods() const {
    const std::vector<std::string> known = method_names();
    for (const std::string& method : options_.methods) {
      if (std::find(known.begin(), known.end(), method) != known.end()) continue;
      fail_input(text::format("'{}' is no method of FaceForensics++: they are {}", one_line(method),
                              text::join(known, ", ")));
    }
  }

  // With methods, their originals only: fakes of actors have actors, the others videos of YouTube.
  bool is_wanted(const Collection& collection) const {
    if (options_.methods.empty()) return true;
    return std::any_of(options_.methods.begin(), options_.methods.end(),
                       [&](const std::string& method) {
                         return collection.label == kFake
                                    ? method == collection.name
                                    : find_collection("manipulated_sequences", method)->naming ==
                                          collection.naming;
                       });
  }

  void find_collections() {
    for (const char* parent : {"original_sequences", "manipulated_sequences"}) {
      if (!fs::is_directory(set_.root / parent)) continue;
      for (const std::string& name : folders_in(set_.root / parent)) {
        const Collection* collection = find_collection(parent, name);
        const std::string place = text::format("{}/{}", parent, name);
        if (collection == nullptr) {
          notes_.add("no folder of FaceForensics++", place);
        } else if (!is_wanted(*collection)) {
          notes_.add("not asked for", place);
        } else {
          chosen_.push_back(collection);
          see_compressions(place);
        }
      }
    }
    std::sort(chosen_.begin(), chosen_.end());  // as in the table: originals first
    for (const std::string& method : options_.methods) {
      if (!fs::is_directory(set_.root / "manipulated_sequences" / method)) {
        fail_input(text::format("{}: has no folder manipulated_sequences/{}: leave the method out",
                                name_of(set_.root), method));
      }
    }
  }

  void see_compressions(const std::string& place) {
    for (const std::string& name : folders_in(set_.root / place)) {
      const bool known =
          std::find(kCompressions.begin(), kCompressions.end(), name) != kCompressions.end();
      if (known) {
        compressions_.insert(name);
      } else {
        notes_.add("none of raw, c0, c23, c40", place + "/" + name);
      }
    }
  }

  std::string choose_compression() {
    const std::string& wanted = options_.compression;
    const std::string present = text::join(compressions_, " and ");
    if (compressions_.empty()) {
      fail_input(text::format(
          "{}: looks like FaceForensics++, but no folder raw, c0, c23 or c40 stands where "
          "its videos are "
          "(original_sequences/youtube/c23/videos/000.mp4)",
          name_of(set_.root)));
    }
    if (!wanted.empty() && !compressions_.contains(wanted)) {
      fail_input(text::format("{}: holds no compression {}, but {}", name_of(set_.root),
                              one_line(wanted), present));
    }
    if (wanted.empty() && compressions_.size() > 1) {
      fail_input(
          text::format("{}: holds the compressions {} of the same videos; choose one "
                       "(--compression)",
                       name_of(set_.root), present));
    }
    return wanted.empty() ? *compressions_.begin() : wanted;
  }

  void add(const Collection& collection, const FoundVideo& found, SampleCollector& collector) {
    const auto& parts = found.parts;
    if (std::find(parts.begin(), parts.end(), "masks") != parts.end()) {
      notes_.add("masks", found.path);
      return;
    }
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
      if (auto sample = from_name(collection, *part)) {
        sample->path = found.path;
        collector.add(std::move(*sample), found.is_folder);
        return;
      }
    }
    notes_.add(collection.naming == Naming::kYouTube
                   ? "its name is not of the form NNN or NNN_NNN"
                   : "its name is not of the form NN__SCENE or NN_NN__SCENE__CODE",
               found.path);
  }

  // The number of an original video to its split.
  void read_splits() {
    fs::path folder = set_.root / "splits";
    if (!fs::is_directory(folder)) folder = set_.root;
    std::map<std::string, Split> split_of;
    std::vector<std::string> missing;
    for (size_t split = 0; split < kSplitNames.size(); ++split) {
      const fs::path path = folder / text::format("{}.json", kSplitNames[split]);
      if (!fs::exists(path)) {
        missing.push_back(path.filename().string());
        continue;
      }
      const std::vector<std::byte> bytes = read_file(path, kMaxListBytes, "split");
      for (const auto& pair : parse_split_pairs(
               {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, name_of(path))) {
        for (const std::string& number : pair) {
          const auto [known, is_new] = split_of.try_emplace(number, static_cast<Split>(split));
          if (is_new || known->second == static_cast<Split>(split)) continue;
          fail_input(
              text::format("{}: video {} is in {} already; fetch FaceForensics++'s files "
                           "again",
                           name_of(path), number, kSplitNames[static_cast<size_t>(known->second)]));
        }
      }
    }
    set_.has_official = missing.empty();
    if (!missing.empty()) {
      set_.official = text::format(
          "{} missing; fetch train.json, val.json and test.json (dataset/splits of FaceForensics' "
          "repository) into splits/",
          text::join(missing, ", "));
      return;
    }
    set_.official = text::format("{}/{{train,val,test}}.json: {} original videos",
                                 folder == set_.root ? "." : "splits", split_of.size());
    place_videos(split_of);
  }

  // A fake stands where all its originals stand.
  void place_videos(const std::map<std::string, Split>& split_of) {
    for (VideoSample& sample : set_.videos) {
      const std::vector<std::string> originals =
          sample.sources.empty() ? std::vector{sample.name} : sample.sources;
      std::set<std::optional<Split>> splits;
      for (const std::string& original : originals) {
        const auto found = split_of.find(original.substr(original.find('/') + 1));
        const bool listed = original.starts_with("youtube/") && found != split_of.end();
        splits.insert(listed ? std::optional(found->second) : std::nullopt);
      }
      if (splits.size() == 1) sample.split = *splits.begin();
    }
    std::set<std::string> here;
    for (const VideoSample& sample : set_.videos) here.insert(sample.name);
    for (const auto& [number, split] : split_of) {
      const std::string name = "youtube/" + number;
      if (!here.contains(name)) notes_.add("in the files of the splits, but not here", name);
    }
  }

  const VideoSetOptions& options_;
  VideoSet set_;
  Tallies notes_;
  std::vector<const Collection*> chosen_;
  std::set<std::string> compressions_;
};

}  // namespace

std::optional<VideoSet> load_faceforensics(const fs::path& root, const VideoSetOptions& options) {
  if (!fs::is_directory(root / "original_sequences") &&
      !fs::is_directory(root / "manipulated_sequences")) {
    return std::nullopt;
  }
  return ForensicsReader(root, options).read();
}

}  // namespace verace::data
