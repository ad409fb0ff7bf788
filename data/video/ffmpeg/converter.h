// Decoded frames to upright 8-bit RGB.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/image.h"
#include "data/video/ffmpeg/av.h"

namespace verace::data::video {

// By swscale with exact arithmetic (the same bits on every processor), chroma interpolated
// bilinearly, by the frame's own matrix and range; where it names no matrix, BT.601, as FFmpeg and
// OpenCV take it. Alpha is left out.
class Converter {
 public:
  // `name` of the video and `orientation` (EXIF's number) of its frames.
  explicit Converter(std::string name) : name_(std::move(name)) {}
  // Throws Error(kInput) for a pixel format that swscale cannot read.
  Image convert(const AVFrame& frame, int orientation);

 private:
  struct Key {  // what the scaler was made for
    int width = 0, height = 0, format = -1, matrix = 0, full_range = 0;
    bool operator==(const Key&) const = default;
  };
  void prepare(const Key& key);

  std::string name_;
  Key key_;
  ScalerPointer scaler_;
  std::vector<uint8_t> rows_;  // with room after each row: swscale may write beyond its end
};

}  // namespace verace::data::video
