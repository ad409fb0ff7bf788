// Labelled pictures from a directory tree or a CSV manifest, divided into splits without leaks.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/detected_face.h"

namespace verace::data {

enum class Split : uint8_t { kTrain, kVal, kTest };

inline constexpr std::array<const char*, 3> kSplitNames{"train", "val", "test"};

// Class indices of the whole program; "positive" in every metric is fake.
inline constexpr int32_t kReal = 0;
inline constexpr int32_t kFake = 1;
inline constexpr std::array<const char*, 2> kClassNames{"real", "fake"};

struct Sample {
  std::filesystem::path path;
  int32_t label = kReal;
  std::string video;     // never empty; a picture without a video is a video of its own
  std::string identity;  // one name, or several joined by '+'; empty: unknown
  Split split = Split::kTrain;
  // The face, in pixels of the picture; known from manifests of faces only.
  std::optional<FaceBox> box = std::nullopt;  // x1 < x2, y1 < y2
  std::optional<std::array<ImagePoint, kFaceLandmarks>> landmarks = std::nullopt;
  int64_t frame = -1;  // of the video, from 0, in which it was found; negative: unknown
  // The picture is a real face's, and what shall be seen is a pseudo-fake that is made of it
  // (pseudo_fakes/samples.h); the label is kFake.
  bool pseudo_fake = false;
};

struct DatasetOptions {
  // Accept videos, identities or pictures that stand in two splits; Dataset::leak_report says
  // which.
  bool allow_leak = false;
};

struct Dataset {
  std::vector<Sample> samples;
  int64_t ignored_files = 0;  // below the classes: hidden or not .jpg .jpeg .png .bmp
  std::vector<std::string>
      ignored_columns;      // of the manifest; print them, one may be a misspelling
  std::string leak_report;  // one line; empty: no leak
};

// (a) A directory DIR/{train,val,test}/{real,fake}/**/picture. The folder that holds a picture,
// below
//     the class, is its video, named "class/folder/..."; a picture directly in the class folder is
//     a video of its own, named "split/class/file". Links to directories are followed. Order:
//     split, class, path (by bytes). Identities are unknown.
// (b) A CSV manifest (any file): a header with the columns path, label and optionally video,
//     identity, split, and those of faces (manifest.h), in any order. label: real | fake | 0 | 1;
//     an empty or absent video: the path without its extension; an empty or absent split: train;
//     box and landmarks: numbers of pixels within +-10^6, all of a face's or none; frame: a
//     whole number, or empty. seconds and score are not read. Relative paths start at the CSV's
//     directory. Order: as written.
// The pictures are not opened (those of a manifest must exist). Throws Error(kInput), with the line
// for a manifest, for anything that does not have this form, for a video of a manifest with both
// labels, for a data set without pictures, and for a leak between splits.
Dataset load_dataset(const std::filesystem::path& dir_or_csv, const DatasetOptions& options = {});

// [split][class]: numbers of pictures.
using ClassCounts = std::array<std::array<int64_t, 2>, 3>;
ClassCounts count_classes(const Dataset& dataset);

// The samples of one split, in order. Throws Error(kInput) naming the split and the class if a
// class has no pictures there. `name_for_errors`: what the data set is called in the message.
std::vector<Sample> select_split(const Dataset& dataset, Split split,
                                 const std::string& name_for_errors);

}  // namespace verace::data
