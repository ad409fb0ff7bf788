// FFmpeg as this program sees it: one library of our own, loaded when the first video is wanted.
//
// FFmpeg brings some 130 shared libraries; linked with them, every command would start 50
// milliseconds later (docs/faces.md has the measurement), and none where one of them is missing. So
// what calls FFmpeg is a module, libverace_video.so (data/video/ffmpeg), that lies beside the
// program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "data/frame_source.h"

namespace verace::data::video {

// Program and module hand each other C++ objects, so both must come from one build: they compare
// this text. The number counts the changes of this file.
inline constexpr const char* kInterface = "verace video 1, " __VERSION__;

// Where an encoder puts its bytes. Both throw Error(kInput).
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual void write(std::span<const std::byte> bytes) = 0;  // at the current place
  virtual void seek(int64_t offset) = 0;                     // from the beginning
};

// Muxer, encoder, pixel format and options by FFmpeg's names.
struct EncoderOptions {
  std::string name;  // of the file, for errors
  std::string container = "mp4", encoder = "mpeg4", pixel_format = "yuv420p";
  int64_t width = 0, height = 0;
  double ticks_per_second = 25;  // the unit of the frames' times
  int quality = 3;               // quantiser, 1 (best) .. 31, where the encoder has one
  int orientation = 1;           // EXIF's number of the rotation that the file asks of its player
  std::vector<std::pair<std::string, std::string>> more;  // options of the encoder or the muxer
};

class Encoder {
 public:
  virtual ~Encoder() = default;
  // Frames of equal size; `tick` grows from each to the next.
  virtual void add(const Image& frame, int64_t tick) = 0;
  virtual void finish() = 0;
};

class Library {
 public:
  virtual ~Library() = default;
  virtual std::string version() const = 0;  // "FFmpeg 5.1.9 (libavcodec 59.37.100)"
  virtual bool has_encoder(const std::string& name) const = 0;
  // A regular file. Throws as open_frames() does.
  virtual std::unique_ptr<FrameSource> open(const std::filesystem::path& path,
                                            int threads) const = 0;
  // `sink` must live until the encoder is gone. Throws Error(kInput) for what FFmpeg cannot write.
  virtual std::unique_ptr<Encoder> encode(ByteSink& sink, const EncoderOptions& options) const = 0;
};

// The loaded module. Throws Error(kInput), one line that says what is missing and what to do: the
// module (a build without FFmpeg), FFmpeg's libraries, or the module is of another build. Safe to
// call from several threads at once.
const Library& library();

// For `verace info`: the version and where the module lies, or why there is none.
std::string library_text();

// Where library() looks for the module, best first: VERACE_VIDEO_LIBRARY (its file; then nowhere
// else), beside the program, one folder above (tests), and ../lib/verace.
std::vector<std::filesystem::path> library_candidates();

// What dlsym finds in the module: null where `interface` is not its own kInterface.
using LibraryFunction = const Library*(const char* interface);
inline constexpr const char* kLibraryFunction = "verace_video_library";

}  // namespace verace::data::video
