// Data sets of real and fake videos as they are distributed: which video is what, made from what,
// of whom, and in which split.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace verace::data {

struct VideoSample {
  std::filesystem::path path;    // a video file, or a folder of frames
  std::optional<int32_t> label;  // kReal or kFake; empty: unknown
  std::string name;              // unique in its set: "Celeb-synthesis/id1_id0_0007"
  std::string identity;          // names joined by '+', of a fake the target first; empty: unknown
  std::optional<Split> split;    // what the set itself says; after assign_splits(): the split
  // Names of the videos that this one was made from, whether they are here or not. What shares one
  // belongs into one split.
  std::vector<std::string> sources;
};

struct VideoFolder {
  std::string name;  // relative to the root, "/" between
  std::optional<int32_t> label;
  int64_t videos = 0;
  int64_t published = 0;  // so many does the whole data set have; 0: not known
};

// Something that happened to several files: counted, and the first ones named.
struct Tally {
  std::string what;
  int64_t count = 0;
  std::vector<std::string> first;  // at most kFirst
  static constexpr size_t kFirst = 3;
};

struct VideoSet {
  std::string kind;  // "Celeb-DF v2", for people
  std::filesystem::path root;
  std::vector<VideoSample> videos;  // folder by folder, there by name (bytes)
  std::vector<VideoFolder> folders;
  std::vector<Tally> notes;  // what was ignored and why, what is missing, what looks wrong
  bool has_official = false;
  std::string official;  // where its own split stands; without one, why not and what to do
};

struct VideoSetOptions {
  // FaceForensics++ only. Empty: the only one that is there, and every method that is there.
  std::string compression;           // raw, c0, c23, c40
  std::vector<std::string> methods;  // Deepfakes, Face2Face, ...
};

// Recognises, by what lies in the folder:
// (a) Celeb-DF v1 and v2: Celeb-real/idA_NNNN, YouTube-real/NNNNN, Celeb-synthesis/idA_idB_NNNN (A
//     the target, filmed in Celeb-real/idA_NNNN; B gave the face), List_of_testing_videos.txt.
// (b) FaceForensics++: original_sequences/{youtube,actors}/COMPRESSION/videos/NNN,
//     manipulated_sequences/METHOD/COMPRESSION/videos/AAA_BBB (A the target, B the source), and
//     splits/{train,val,test}.json.
// (c) real/ and fake/, also below train/, val/ and test/ (in any case). Pictures directly in them
// are
//     videos of one frame each.
// (d) A file, or a folder that holds pictures: this one video, without a label.
// (e) Any other folder with videos somewhere below: these, without labels.
// A video is a file with the extension of one, in any case, or a folder that holds pictures (its
// frames); both may lie deeper ("Celeb-real/frames/id0_0000/"). Nothing is opened but lists and, in
// (c) and (e), files of equal size: copies have what they are a copy of as a source.
// Videos of a list that are not here are counted, not refused: parts of a data set are normal. So
// are files that fit no rule. Throws Error(kInput) naming the path for: nothing there, no videos, a
// list that has another form or contradicts the folders (with its line), options that do not apply.
VideoSet load_video_set(const std::filesystem::path& root, const VideoSetOptions& options = {});

enum class SplitRule : uint8_t { kOfficial, kVideo, kIdentity };
inline constexpr std::array<const char*, 3> kSplitRuleNames{"official", "video", "identity"};

struct SplitOptions {
  SplitRule rule = SplitRule::kOfficial;
  std::array<double, 3> shares{0.8, 0.1, 0.1};  // of train, val, test; at least 0, their sum 1
  uint64_t seed = 1;
};

// What stands in two splits.
struct LeakReport {
  int64_t identities = 0;  // persons
  int64_t sources = 0;     // videos that others were made from, and those
  int64_t unknown = 0;     // videos without an identity: nothing is known of their persons
  std::string text;        // one line
};

struct SplitReport {
  SplitOptions options;
  // [split][class]: numbers of videos; the third class is unknown.
  std::array<std::array<int64_t, 3>, 3> videos{};
  std::array<int64_t, 3> identities{};
  std::array<int64_t, 3> dropped{};  // [class]; removed from the set
  std::vector<Tally> why_dropped;
  LeakReport leaks;
};

// Gives every video of the set a split, and removes those that may be in none.
//   kOfficial: the set's own. Celeb-DF has a test list only: the other videos are divided into
//   train
//     and val, in proportion to their shares, by kVideo's rule.
//   kVideo: what was made from one video, and that video, are in one split.
//   kIdentity: a person is in one split. Fakes join two persons; those whose persons came into
//     different splits are removed. The division that keeps many fakes and comes near the shares is
//     searched for; videos without an identity are divided by kVideo's rule.
// Depends on names, shares and seed only, not on the order of files. Throws Error(kInput) for
// kOfficial where the set has none, and shares that are not shares.
SplitReport assign_splits(VideoSet& set, const SplitOptions& options);

// The leaks between the splits that the videos have now.
LeakReport check_leaks(const VideoSet& set);

}  // namespace verace::data
