// What is written once all videos are done, from their records in the order of the inputs.
#pragma once

#include <string>
#include <vector>

#include "apps/lib/faces/inputs.h"
#include "apps/lib/faces/record.h"

namespace verace::apps {

struct DoneVideo {
  FaceJob job;
  VideoRecord record;
};

// manifest.csv: the faces, as data/face_manifest.h writes them; paths start at OUT.
std::string manifest_text(const std::vector<DoneVideo>& videos);

// account.csv: one line per video, with path (as given), label, video, identity, split, frames,
// looked_at, with_faces, faces, shortfall, damage, seconds.
std::string account_text(const std::vector<DoneVideo>& videos);

// account.json: the settings, and for each video all of that, the frames without a face, and the
// faces with box and landmarks in pixels of the frame.
std::string account_json(const std::vector<DoneVideo>& videos,
                         const std::vector<Setting>& settings);

}  // namespace verace::apps
