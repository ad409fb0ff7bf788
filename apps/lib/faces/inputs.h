// From the command line's inputs to the list of videos, each with a name and a folder of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/lib/faces/options.h"

namespace verace::apps {

struct FaceJob {
  data::VideoSample video;
  std::string folder;  // below OUT/faces: the name without what leads out of it; unique
  int64_t wanted = 0;  // frames with a face
};

struct FaceInputs {
  std::vector<FaceJob> jobs;       // in the order of the inputs
  std::vector<std::string> notes;  // one line each: kinds, what was left out
  std::optional<data::SplitReport> splits;
};

// Throws Error(kInput) naming the input for what is not there, what stands twice, numbers by class
// for videos without a label, and splits of anything but one data set.
FaceInputs collect_inputs(const FacePipelineOptions& options);

}  // namespace verace::apps
