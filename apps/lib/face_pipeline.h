// From videos to crops of faces and their manifest: `verace faces`.
//
// OUT/faces/NAME/FRAME_PLACE.jpg  the crops of a video
// OUT/videos/NAME.json            its record (faces/record.h): written last, so that a video is
//                                 either done or not begun, whenever the process is killed
// OUT/faces.json                  the settings of all of them
// OUT/manifest.csv, account.csv, account.json, contact_sheet.png, splits.txt
//                                 written at the end, the same whether the work was in one piece
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/lib/face_detector.h"
#include "apps/lib/faces/extract.h"
#include "apps/lib/faces/options.h"
#include "apps/lib/faces/outputs.h"

namespace verace::apps {

struct FacePipelineTimes {
  ExtractTimes stages;  // of all workers together
  double detector = 0;  // seconds in which the detector was at work
  double wall = 0;      // of all videos
  int64_t frames = 0;   // that the detector has seen
  int64_t videos = 0;   // done in this call
};

struct FacePipelineResult {
  std::vector<DoneVideo> videos;  // in the order of the inputs
  std::vector<std::string> notes;
  std::string splits;  // splits.txt; empty: not asked for
  FacePipelineTimes times;
  int64_t resumed = 0;   // videos that an earlier call had done
  bool stopped = false;  // by a signal: nothing but finished videos is there
};

// Does what is not done yet. The detector is asked on this thread; `workers` threads decode, crop
// and write. Throws Error(kInput) for inputs and folders that are not what they should be (before
// any work), and where something cannot be written: what is finished by then stays.
FacePipelineResult run_face_pipeline(const FacePipelineOptions& options, FaceFinder& finder);

// For people: what was found, what is missing and why (the first ten videos of each kind).
std::string pipeline_summary(const FacePipelineResult& result, const FacePipelineOptions& options);
// A table of where the time went.
std::string timing_text(const FacePipelineTimes& times, int64_t workers);

}  // namespace verace::apps
