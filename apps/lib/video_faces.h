// The faces of one video: which frames are looked at, what is found, and why it is fewer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/lib/face_detector.h"
#include "data/face_crop.h"
#include "data/frame_sampling.h"
#include "data/frame_source.h"

namespace verace::apps {

// VideoFaces::format of a picture.
inline constexpr const char* kPictureFormat = "picture";

struct VideoFacesOptions {
  data::Sampling sampling = data::Sampling::kMaxStride;
  int64_t frames = 10;  // wanted, each with a face; at least 1
  // Where chosen frames have no face, further ones are looked at: those that the same sampling
  // chooses of twice, 4, 8 and 16 times as many, from the first on, until there are enough. Each of
  // these rounds decodes the video once more.
  bool fill = false;
  bool all_faces = false;  // of a frame; else the largest
  data::CropOptions crop;
  int threads = 1;    // that may decode
  int64_t batch = 8;  // frames that are shown to the detector at once
};

struct FoundFace {
  int64_t frame = 0;  // in display order from 0
  double seconds = 0;
  int64_t place = 0;  // among the faces of its frame, the largest 0
  data::DetectedFace in_frame;
  data::FaceCrop crop;
};

// Where the time went, in seconds of the thread that asked. Detection: with waiting for the
// detector.
struct FaceTimes {
  double decode = 0, convert = 0, detect = 0, crop = 0;
};

struct VideoFaces {
  std::vector<FoundFace> faces;  // by frame, there the largest first
  int64_t frames_in_video = 0, frames_looked_at = 0, frames_with_faces = 0;
  std::vector<int64_t> without_face;  // frames that were looked at in vain, ascending
  double seconds = 0;                 // of the video; 0: unknown
  std::string format;
  // Why there are fewer frames with faces than wanted, or none, in one line; empty: there are
  // enough. Of a video that cannot be read: the error.
  std::string shortfall;
  std::string damage;  // of the file, in one line; empty: none was met
  bool readable = false;
  FaceTimes times;
};

// Called with each face as it is found; it may take the crop's picture.
using FaceSink = std::function<void(FoundFace& face)>;

// A picture file as a video of one frame; anything else as data::open_frames.
std::unique_ptr<data::FrameSource> open_frames_or_picture(const std::filesystem::path& path,
                                                          int threads = 1);

// A video, a folder of frames or a picture. What is wrong with it is in the result and never
// thrown; what `finder` and `sink` throw passes through. Depends on the video, the finder's answers
// and the options only (not on threads and batch). Faces that have no crop (data::can_crop) are
// none.
VideoFaces find_video_faces(const std::filesystem::path& video, FaceFinder& finder,
                            const VideoFacesOptions& options, const FaceSink& sink = {});

}  // namespace verace::apps
