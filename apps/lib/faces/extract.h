// One video: its crops written, then its record.
#pragma once

#include <filesystem>

#include "apps/lib/faces/inputs.h"
#include "apps/lib/faces/record.h"

namespace verace::apps {

// Where a job's files are.
std::filesystem::path crops_folder(const std::filesystem::path& out, const FaceJob& job);
std::filesystem::path record_file(const std::filesystem::path& out, const FaceJob& job);

// In seconds. The search's time for crops holds those for encoding and writing them.
struct ExtractTimes {
  FaceTimes search;
  double encode = 0, write = 0, record = 0;
};

// Looks for the video's faces anew, whatever is there of it. A video that cannot be read leaves no
// files, so that a later call tries again. Throws Error(kInput) where something cannot be written.
VideoRecord extract_faces(const FaceJob& job, FaceFinder& finder,
                          const FacePipelineOptions& options, ExtractTimes& times);

}  // namespace verace::apps
