// Writing pictures as a video.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "data/image.h"

namespace verace::data {

class VideoWriter {
 public:
  virtual ~VideoWriter() = default;
  // The next frame, of the size that was named.
  virtual void add(const Image& frame) = 0;
  // Completes the video. Before, nothing has the final name; without it, nothing is left behind.
  virtual void finish() = 0;
  // What is written, for people: "MPEG-4 video out.mp4", "12 frames in folder out_frames (…)".
  virtual std::string description() const = 0;
};

// By the name's ending: .mp4 .mov .mkv: MPEG-4 (part 2, which every player and OpenCV read); .avi:
// Motion-JPEG. Without an ending, and where this machine cannot write videos (video/library.h): a
// folder of JPEG pictures, 000000.jpg and so on; then the ending of the name, if it has one, gives
// way to "_frames", and description() says why. An existing file is replaced, an existing folder
// must be empty. frames_per_second: what is no usable rate (<= 0, not finite) counts as 25. Throws
// Error(kInput) naming the file: another ending, a folder that is not there, a size of frames that
// cannot be written.
std::unique_ptr<VideoWriter> create_video(const std::filesystem::path& path, int64_t width,
                                          int64_t height, double frames_per_second);

}  // namespace verace::data
