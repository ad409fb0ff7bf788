// Display matrices: how a player must turn a video's frames, as EXIF's number.
#pragma once

#include <array>
#include <cstdint>

#include "data/video/ffmpeg/av.h"

namespace verace::data::video {

// The matrix of a stream or frame (nine numbers, FFmpeg's libavutil/display.h) as EXIF's number
// 1..8: the nearest of the eight ways to turn and mirror. Null: 1.
int orientation_of(const int32_t* matrix);

// The matrix that a stream says of itself; null where there is none. It lives as long as `stream`.
const int32_t* display_matrix(const AVStream& stream);

// The other way round, for writing: sets the matrix of a stream that has no header yet.
void set_display_matrix(AVStream& stream, int orientation);

}  // namespace verace::data::video
