// The packets of a file's video stream. The file is opened by us and read through callbacks, so
// that FFmpeg opens nothing by itself: no other file, no network.
#pragma once

#include <filesystem>
#include <string>

#include "data/video/ffmpeg/av.h"

namespace verace::data::video {

// A regular file for reading.
class InputFile {
 public:
  explicit InputFile(const std::filesystem::path& path);  // throws Error(kInput)
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  // FFmpeg's callbacks; `self` is the InputFile.
  static int read(void* self, uint8_t* buffer, int size);
  static int64_t seek(void* self, int64_t offset, int whence);

 private:
  int descriptor_ = -1;
  int64_t size_ = 0;
};

// Throws Error(kInput) naming the video where frames of this size are larger than pictures may be.
void check_frame_size(const std::string& name, int64_t width, int64_t height);

class Demuxer {
 public:
  // Throws Error(kInput) naming the file: cannot be opened, not a video of a known container, no
  // video stream, no decoder for it, no or too large frames (data/image.h).
  explicit Demuxer(const std::filesystem::path& path);

  const AVFormatContext& format() const { return *format_; }
  const AVStream& stream() const { return *stream_; }
  const AVCodec& decoder() const { return *decoder_; }

  // The next packet of the video stream; false at the end, or where nothing more can be read.
  // Packets that cannot be read are left out.
  bool read(AVPacket& packet);
  int64_t failures() const { return failures_; }  // packets that could not be read

 private:
  void open();
  void find_video_stream();

  std::string name_;
  InputFile file_;
  IoPointer io_;
  InputPointer format_;
  AVStream* stream_ = nullptr;
  const AVCodec* decoder_ = nullptr;
  int64_t failures_ = 0;
};

}  // namespace verace::data::video
