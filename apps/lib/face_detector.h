// Finding faces in pictures by RetinaFace on our own engine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/detected_face.h"
#include "data/image.h"
#include "kernels/exec.h"

namespace verace::apps {

struct FaceDetectorOptions {
  double score_threshold = 0.5;  // [0, 1]; faces with a smaller score are dropped
  double nms_threshold = 0.4;    // intersection over union (pixel convention of C.1), (0, 1]
  int64_t long_side = 1024;  // pixels; larger pictures are looked at in this size; 0: as they are
  double min_size = 0;  // pixels of the picture; faces whose shorter side is smaller are dropped
  int64_t batch = 8;    // pictures of one size that go through the network at once
  std::optional<double>
      slope;  // of the leaky ReLU; unset: what is known of the file (by its hash), printed
};

// What the pipeline needs of a detector; tests have their own.
class FaceFinder {
 public:
  virtual ~FaceFinder() = default;
  // For each picture its faces, the largest score first; boxes and landmarks in pixels of the
  // picture as it was given. Pictures may differ in size. Results do not depend on what else is in
  // the span. Not from several threads at once.
  virtual std::vector<std::vector<data::DetectedFace>> find(
      std::span<const data::Image> pictures) = 0;
  // One line for reports: network, file, slope, thresholds.
  virtual std::string description() const = 0;
};

// Opens the weights of a RetinaFace (MobileNet-0.25 or ResNet-50 backbone, told by the tensors).
// Throws Error(kInput) naming the file for anything else.
std::unique_ptr<FaceFinder> open_face_detector(const std::filesystem::path& weights,
                                               const kernels::Exec& exec,
                                               const FaceDetectorOptions& options = {});

}  // namespace verace::apps
