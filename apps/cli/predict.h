// The flags of verace predict, and its two ways: pictures as they are, and faces found in videos.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "apps/cli/common.h"
#include "apps/cli/face_flags.h"
#include "apps/lib/threshold.h"
#include "apps/lib/video_faces.h"

namespace verace::cli {

struct PredictOptions {
  ModelFlags model;
  DeviceFlags device;
  std::vector<std::string> inputs;
  std::optional<data::Fit> fit;
  std::filesystem::path labels;
  apps::DecisionFlags decision;
  int64_t top = 5, batch = 16;
  bool json = false, quiet = false;
  // With a detector.
  DetectorFlags detector;
  std::filesystem::path annotate;
  apps::VideoFacesOptions search;
  std::optional<data::CropKind> crop;
  std::optional<double> margin;
  bool folders_are_videos = false;
};

// --detector and the flags that need it.
void declare_media(Flags& flags, PredictOptions& options);
// What is to be judged: pictures as they are, what a detector finds, or a manifest's faces. Throws
// Error(kInput) naming a flag that needs --detector where it is not given, a flag that has no place
// with it, and a video where there is none.
enum class PredictKind { kPictures, kMedia, kManifest };
PredictKind check_media(const Flags& flags, const PredictOptions& options);

// How a model's verdicts are made; says so on stderr.
apps::Decision choose_decision(const PredictOptions& options, const apps::LoadedModel& model,
                               const data::FitOptions& fit);

// verace predict --detector, and verace predict FACES/manifest.csv; the exit codes.
int predict_media(PredictOptions& options);
int predict_manifest(PredictOptions& options);

}  // namespace verace::cli
