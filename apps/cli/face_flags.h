// The flags of commands that look for faces: the detector, and how faces are cut out.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/cli/flags.h"
#include "apps/lib/face_detector.h"
#include "data/face_crop.h"

namespace verace::cli {

// What is no face but looks like one (a face printed on a shirt) may be the largest of a frame: so
// only sure ones count, as in retina-face.
inline constexpr double kMinScore = 0.9;

struct DetectorFlags {
  std::filesystem::path file;
  apps::FaceDetectorOptions options;

  DetectorFlags() { options.score_threshold = kMinScore; }
};
// --detector, --min-score, --min-size, --long-side, --slope.
void declare_detector(Flags& flags, DetectorFlags& detector);
// Throws Error(kInput) where one of them is given and the detector is not.
void check_detector(const Flags& flags, const DetectorFlags& detector);
// Opens it; says what was assumed on stderr unless `quiet`.
std::unique_ptr<apps::FaceFinder> open_detector(const DetectorFlags& detector,
                                                const kernels::Exec& exec, bool quiet);
// Flags and values that decide the detector's answers; the file by its content.
std::vector<std::pair<std::string, std::string>> detector_settings(const DetectorFlags& detector);

struct CropFlags {
  data::CropKind kind = data::CropKind::kTight;
  std::optional<double> margin;
  int64_t size = 224;

  data::CropOptions options() const {
    return {kind, margin.value_or(data::usual_margin(kind)), size};
  }
};
// --crop, --margin, --size.
void declare_crop(Flags& flags, CropFlags& crop);
// Throws Error(kInput) for a margin of what has none.
void check_crop(const Flags& flags, const CropFlags& crop);

}  // namespace verace::cli
