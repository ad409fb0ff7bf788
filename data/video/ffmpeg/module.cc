// What the module exports: one function, which hands out the factory of sources and encoders.
#include <cstring>

#include "data/video/ffmpeg/av.h"
#include "data/video/ffmpeg/encoder.h"
#include "data/video/ffmpeg/source.h"
#include "data/video/library.h"
#include "kernels/format.h"

namespace verace::data::video {
namespace {

// The largest single piece of memory that FFmpeg may take: a decoded frame has at most
// kMaxImagePixels pixels of eight bytes.
constexpr size_t kMaxAllocation = size_t{1} << 30;

void say_nothing(void* /*context*/, int /*level*/, const char* /*format*/, va_list /*arguments*/) {}

class FfmpegLibrary final : public Library {
 public:
  FfmpegLibrary() {
    av_log_set_callback(&say_nothing);  // what matters of it, our own errors say in one line
    av_max_alloc(kMaxAllocation);
  }
  std::string version() const override {
    const unsigned codec = avcodec_version();
    return text::format("FFmpeg {}, libavcodec {}.{}.{}", av_version_info(),
                        AV_VERSION_MAJOR(codec), AV_VERSION_MINOR(codec), AV_VERSION_MICRO(codec));
  }
  bool has_encoder(const std::string& name) const override {
    return avcodec_find_encoder_by_name(name.c_str()) != nullptr;
  }
  std::unique_ptr<FrameSource> open(const std::filesystem::path& path, int threads) const override {
    return open_video(path, threads);
  }
  std::unique_ptr<Encoder> encode(ByteSink& sink, const EncoderOptions& options) const override {
    return make_encoder(sink, options);
  }
};

}  // namespace
}  // namespace verace::data::video

extern "C" __attribute__((visibility("default"))) const verace::data::video::Library*
verace_video_library(const char* interface) {
  using verace::data::video::FfmpegLibrary;
  if (std::strcmp(interface, verace::data::video::kInterface) != 0) return nullptr;
  static const FfmpegLibrary the_library;
  return &the_library;
}
