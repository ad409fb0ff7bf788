// Verdicts about videos and pictures in which the faces must be found first.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "apps/lib/model_file.h"
#include "apps/lib/session.h"
#include "apps/lib/threshold.h"
#include "apps/lib/video_faces.h"
#include "data/resample.h"

namespace verace::apps {

// A face that was found and judged.
struct MediaFace {
  int64_t frame = 0;
  double seconds = 0;
  data::DetectedFace in_frame;
  double probability = 0;         // of being fake
  std::filesystem::path picture;  // of a manifest: the crop; then in_frame is not known
};

// What is said about one video or picture, or why nothing is.
struct MediaVerdict {
  std::filesystem::path path;
  bool is_picture = false;
  double seconds = 0;
  int64_t frames_in_video = 0, frames_looked_at = 0, frames_with_faces = 0;
  std::vector<MediaFace> faces;            // by frame
  std::vector<int64_t> without_face;       // frames that were looked at in vain, ascending
  std::optional<double> fake_probability;  // of all faces together; empty: no verdict
  std::string why_not;                     // one line; empty: there is a verdict
  bool readable = false;                   // false: why_not is the error
  std::string shortfall, damage;           // VideoFaces'
};

// "fake" or "real", for an item with a verdict: by the threshold of faces for a picture with one
// face, else by that of videos.
const char* verdict_word(const MediaVerdict& item, const Decision& decision);

struct MediaVerdicts {
  std::vector<MediaVerdict> items;  // in the order given
  Decision decision;
  VideoFacesOptions search;
  std::string detector;  // FaceFinder::description(); empty: a manifest was judged, without search
};

// Files as they are. A folder: the pictures and videos below it (by their names' endings), in the
// order of their paths; with `is_video` it is one video, its pictures the frames. Throws
// Error(kInput) naming a folder without any; what is not there is left to judge_media().
std::vector<std::filesystem::path> expand_media(const std::vector<std::string>& arguments,
                                                bool is_video);

struct MediaOptions {
  VideoFacesOptions search;
  data::FitOptions fit;  // of crops whose size is not the network's
  ClassIndices classes;
  Decision decision;
};

// Finds the faces of one file (or folder of frames), judges each, and all together by the
// decision's policy and temperature. What is wrong with the file is in the result. Throws
// Error(kInput) for a network whose answers are not finite.
MediaVerdict judge_media(const std::filesystem::path& path, FaceFinder& finder,
                         InferenceSession& session, const MediaOptions& options);

// For the two judge_ functions: the probabilities of being fake of pictures [n, size, size, 3] of
// the network's size. `path` is for messages.
std::vector<double> judge_pixels(std::span<const uint8_t> pixels, const std::filesystem::path& path,
                                 InferenceSession& session, const MediaOptions& options);

// The videos of a manifest of faces (`verace faces`), whose crops are judged as they are: no faces
// are found anew. In the order of their first faces; then those that the account.csv beside it has
// no face of. Labels play no part and may be missing. `progress` is called with the number of
// videos done and of all. Throws Error(kInput) naming the manifest, with the line, for what has no
// columns path and video, and as judge_media.
std::vector<MediaVerdict> judge_manifest(
    const std::filesystem::path& manifest, InferenceSession& session, const MediaOptions& options,
    const std::function<void(int64_t, int64_t)>& progress = {});

// JSON object: items [{path, kind: video | picture, verdict: real | fake | null, fake_probability
// or null, why_not or null, frames_in_video, frames_looked_at, frames_with_faces, shortfall,
// damage, seconds, faces [{frame, seconds, score, box [x1, y1, x2, y2], landmarks [[x, y] ...],
// fake_probability, verdict}; of a manifest picture instead of score, box and landmarks]}],
// without_verdict, threshold {...} (threshold_json.h), detector, sampling, frames, crop {kind,
// margin, size}.
std::string media_json(const MediaVerdicts& verdicts);
// The same for people: a line for each item.
std::string media_text(const MediaVerdicts& verdicts);

}  // namespace verace::apps
