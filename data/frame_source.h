// Frames one after the other, wherever they come from: a video, or a folder of pictures.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "data/image.h"

namespace verace::data {

struct FrameSourceInfo {
  int64_t width = 0, height = 0;  // upright, in pixels, of the first frame
  int64_t frames = 0;             // counted without decoding; what can be decoded may be fewer
  double seconds = 0;             // duration; 0: unknown (folders)
  std::string format;             // "h264 in matroska,webm", "folder of pictures": for people
};

class FrameSource {
 public:
  virtual ~FrameSource() = default;
  virtual const FrameSourceInfo& info() const = 0;

  // Decodes the next frame, without converting it; false at the end. Frames that cannot be decoded
  // are left out; damage() says so. Throws Error(kInput) naming the file where not even the first
  // can be decoded.
  virtual bool advance() = 0;
  // The first frame at or behind place `wanted` that can be decoded, and behind the current one in
  // any case; false at the end. A video decodes what lies between, a folder does not.
  virtual bool advance_to(int64_t wanted) {
    while (advance()) {
      if (index() >= wanted) return true;
    }
    return false;
  }
  // Of the current frame. The index counts the frames in the order in which they are shown, from 0.
  virtual int64_t index() const = 0;
  virtual double seconds() const = 0;  // since the first frame; of a folder: 0
  // The current frame, upright, 8-bit RGB.
  virtual Image image() = 0;
  // What was wrong with the frames so far, in one line; empty: nothing.
  virtual std::string damage() const = 0;
};

// A folder: its pictures in the order of their names (numbers by value: 9.png before 10.png). A
// file: a video. Throws Error(kInput) naming the path: not there, empty, not a video, without a
// video stream, larger than pictures may be (image.h); and where this build has no FFmpeg, or its
// libraries are missing on this machine, what to do. `threads` decode a video (not pictures): which
// frames of a damaged one can be decoded depends on their number, so that more than one is for
// those who need no equal results.
std::unique_ptr<FrameSource> open_frames(const std::filesystem::path& path, int threads = 1);

}  // namespace verace::data
