// Declares the flags, and turns their values into options.
#include "apps/cli/face_flags.h"

#include "apps/lib/weights_digest.h"
#include "data/image.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::cli {

void declare_detector(Flags& flags, DetectorFlags& d) {
  flags.group("Detector");
  flags.value("--detector", "FILE", "Weights of a RetinaFace (MobileNet-0.25 or ResNet-50)",
              into(d.file));
  flags.value("--min-score", "P", "Faces of which it is less sure are left out (default 0.9)",
              [&d](const std::string& text, const std::string& flag) {
                std::optional<double> score;
                into_range(score, 0, 1)(text, flag);
                d.options.score_threshold = score.value();
              });
  flags.value("--min-size", "PIXELS",
              "Faces whose shorter side is smaller are left out (default 0)",
              into(d.options.min_size, 0));
  flags.value("--long-side", "PIXELS",
              "Larger frames are looked at in this size; 0: as they are (default 1024)",
              into(d.options.long_side, 0, data::kMaxImageSide));
  flags.value("--slope", "X",
              "Of its leaky ReLU, where the file is not known: 0, or 0.1 for newer ones",
              into_range(d.options.slope, 0, 1));
}

void check_detector(const Flags& flags, const DetectorFlags& detector) {
  if (!detector.file.empty()) return;
  for (const char* flag : {"--min-score", "--min-size", "--long-side", "--slope"}) {
    if (flags.given(flag))
      fail_input(text::format("{}: says how to look for faces: name the --detector", flag));
  }
}

std::unique_ptr<apps::FaceFinder> open_detector(const DetectorFlags& detector,
                                                const kernels::Exec& exec, bool quiet) {
  std::unique_ptr<apps::FaceFinder> finder =
      apps::open_face_detector(detector.file, exec, detector.options);
  if (!quiet) text::print(stderr, "detector: {}\n", one_line(finder->description()));
  return finder;
}

std::vector<std::pair<std::string, std::string>> detector_settings(const DetectorFlags& detector) {
  const apps::FaceDetectorOptions& o = detector.options;
  return {{"--detector", apps::weights_digest(detector.file.string())},
          {"--min-score", text::format("{}", o.score_threshold)},
          {"--min-size", text::format("{}", o.min_size)},
          {"--long-side", text::format("{}", o.long_side)},
          {"--slope", o.slope ? text::format("{}", *o.slope) : "by the file"}};
}

void declare_crop(Flags& flags, CropFlags& crop) {
  flags.group("Crops");
  flags.value("--crop", "KIND",
              "tight (the box), margin (the box and more), square, aligned (by the landmarks), or "
              "eye-angle (tight, turned: retina-face of 2021) (default tight)",
              into_choice({data::kCropNames.begin(), data::kCropNames.end()},
                          [&crop](size_t i) { crop.kind = static_cast<data::CropKind>(i); }));
  flags.value("--margin", "SHARE",
              "Of the box: on each side (margin, default 0.125), in all (square and aligned, "
              "default 0.3)",
              [&crop](const std::string& text, const std::string& flag) {
                into_range(crop.margin, 0, data::kMostMargin)(text, flag);
              });
  flags.value("--size", "PIXELS", "Height and width of the crops (default 224)",
              into(crop.size, 8, 4096));
}

void check_crop(const Flags& flags, const CropFlags& crop) {
  const bool has_none =
      crop.kind == data::CropKind::kTight || crop.kind == data::CropKind::kEyeAngle;
  if (!has_none || !flags.given("--margin")) return;
  fail_input(text::format("--margin: --crop {} has none: leave it out, or give --crop margin",
                          data::kCropNames[static_cast<size_t>(crop.kind)]));
}

}  // namespace verace::cli
