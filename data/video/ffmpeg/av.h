// FFmpeg's headers, its objects as unique_ptrs, its errors as text. Only files of this folder
// include FFmpeg.
#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libavutil/display.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
}

#include <array>
#include <cstdint>
#include <memory>
#include <string>

namespace verace::data::video {

template <auto Free>
struct AvDeleter {
  template <typename T>
  void operator()(T* object) const {
    Free(&object);
  }
};
using FramePointer = std::unique_ptr<AVFrame, AvDeleter<av_frame_free>>;
using PacketPointer = std::unique_ptr<AVPacket, AvDeleter<av_packet_free>>;
using CodecPointer = std::unique_ptr<AVCodecContext, AvDeleter<avcodec_free_context>>;
using InputPointer = std::unique_ptr<AVFormatContext, AvDeleter<avformat_close_input>>;

struct OutputDeleter {
  void operator()(AVFormatContext* context) const { avformat_free_context(context); }
};
using OutputPointer = std::unique_ptr<AVFormatContext, OutputDeleter>;

struct ScalerDeleter {
  void operator()(SwsContext* context) const { sws_freeContext(context); }
};
using ScalerPointer = std::unique_ptr<SwsContext, ScalerDeleter>;

struct IoDeleter {
  void operator()(AVIOContext* io) const {
    av_freep(&io->buffer);
    avio_context_free(&io);
  }
};
using IoPointer = std::unique_ptr<AVIOContext, IoDeleter>;

// A dictionary of options; FFmpeg takes out those that it has understood.
class AvOptions {
 public:
  AvOptions() = default;
  ~AvOptions() { av_dict_free(&options_); }
  AvOptions(const AvOptions&) = delete;
  AvOptions& operator=(const AvOptions&) = delete;
  void set(const char* key, const char* value) { av_dict_set(&options_, key, value, 0); }
  void set(const char* key, int64_t value) { av_dict_set_int(&options_, key, value, 0); }
  AVDictionary** get() { return &options_; }

 private:
  AVDictionary* options_ = nullptr;
};

inline std::string av_error_text(int error) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text{};
  av_strerror(error, text.data(), text.size());
  return text.data();
}

// From FFmpeg 6.1 on, side data of a stream is with its codec's parameters.
#define VERACE_AV_CODED_SIDE_DATA (LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 100))

}  // namespace verace::data::video
