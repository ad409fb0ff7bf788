// One video stream, encoded and put into a container, its bytes handed to a ByteSink.
#include "data/video/ffmpeg/encoder.h"

#include <algorithm>
#include <exception>
#include <span>
#include <utility>

#include "data/video/ffmpeg/av.h"
#include "data/video/ffmpeg/orientation.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data::video {
namespace {

constexpr int kWriteBufferBytes = 1 << 16;
constexpr int kLargestTick = 65535;  // MPEG-4 stores the frames' unit in 16 bits

#if LIBAVFORMAT_VERSION_MAJOR >= 61
using WrittenByte = const uint8_t;
#else
using WrittenByte = uint8_t;
#endif

// The sink as FFmpeg writes to it. An exception must not pass through FFmpeg: it is kept, and
// thrown again when FFmpeg has returned.
class SinkIo {
 public:
  explicit SinkIo(ByteSink& sink) : sink_(sink) {
    auto* buffer = static_cast<unsigned char*>(av_malloc(kWriteBufferBytes));
    VERACE_CHECK(buffer != nullptr, "no memory");
    io_.reset(avio_alloc_context(buffer, kWriteBufferBytes, 1, this, nullptr, &write, &seek));
    VERACE_CHECK(io_ != nullptr, "no memory");
  }
  AVIOContext* get() { return io_.get(); }
  void rethrow() {
    if (failure_ != nullptr) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

 private:
  template <typename Work>
  int64_t guarded(int64_t result, const Work& work) {
    if (failure_ != nullptr) return AVERROR(EIO);
    try {
      work();
      return result;
    } catch (...) {
      failure_ = std::current_exception();
      return AVERROR(EIO);
    }
  }
  static int write(void* self, WrittenByte* bytes, int size) {
    auto* io = static_cast<SinkIo*>(self);
    const auto count = static_cast<size_t>(size);
    return static_cast<int>(io->guarded(size, [&] {
      io->sink_.write(std::as_bytes(std::span(bytes, count)));
      io->place_ += size;
      io->size_ = std::max(io->size_, io->place_);
    }));
  }
  static int64_t seek(void* self, int64_t offset, int whence) {
    auto* io = static_cast<SinkIo*>(self);
    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE) return io->size_;
    if (whence == SEEK_CUR) offset += io->place_;
    if (whence == SEEK_END) offset += io->size_;
    if (offset < 0) return AVERROR(EINVAL);
    return io->guarded(offset, [&] {
      io->sink_.seek(offset);
      io->place_ = offset;
    });
  }

  ByteSink& sink_;
  IoPointer io_;
  int64_t place_ = 0, size_ = 0;
  std::exception_ptr failure_;
};

class FileEncoder final : public Encoder {
 public:
  FileEncoder(ByteSink& sink, const EncoderOptions& options)
      : options_(options), io_(sink), frame_(av_frame_alloc()), packet_(av_packet_alloc()) {
    VERACE_CHECK(frame_ != nullptr && packet_ != nullptr, "no memory");
    open_container();
    open_encoder();
    make_scaler();
    write_header();
  }

  void add(const Image& image, int64_t tick) override;
  void finish() override {
    encode(nullptr);
    check(av_write_trailer(format_.get()), "writing the end of the file");
    avio_flush(io_.get());
    check(io_.get()->error, "writing");
  }

 private:
  void open_container();
  void open_encoder();
  void make_scaler();
  void write_header();
  void encode(const AVFrame* frame);
  void check(int result, const char* what) {
    io_.rethrow();
    if (result >= 0) return;
    fail_input(text::format("{}: cannot be written as {} in {} of {}x{} pixels: {} failed ({})",
                            options_.name, options_.encoder, options_.container, options_.width,
                            options_.height, what, av_error_text(result)));
  }

  EncoderOptions options_;
  SinkIo io_;
  OutputPointer format_;
  CodecPointer codec_;
  AVStream* stream_ = nullptr;
  ScalerPointer scaler_;
  FramePointer frame_;
  PacketPointer packet_;
  AvOptions more_;
};

void FileEncoder::open_container() {
  AVFormatContext* format = nullptr;
  check(avformat_alloc_output_context2(&format, nullptr, options_.container.c_str(), nullptr),
        "making the container");
  format_.reset(format);
  format_->pb = io_.get();
  format_->flags |= AVFMT_FLAG_BITEXACT;  // no time and no version: equal frames, equal files
  stream_ = avformat_new_stream(format, nullptr);
  VERACE_CHECK(stream_ != nullptr, "no memory");
  for (const auto& [key, value] : options_.more) more_.set(key.c_str(), value.c_str());
}

void FileEncoder::open_encoder() {
  const AVCodec* encoder = avcodec_find_encoder_by_name(options_.encoder.c_str());
  check(encoder == nullptr ? AVERROR_ENCODER_NOT_FOUND : 0, "finding the encoder");
  codec_.reset(avcodec_alloc_context3(encoder));
  VERACE_CHECK(codec_ != nullptr, "no memory");
  codec_->width = static_cast<int>(options_.width);
  codec_->height = static_cast<int>(options_.height);
  codec_->pix_fmt = av_get_pix_fmt(options_.pixel_format.c_str());
  codec_->framerate = av_d2q(options_.ticks_per_second, kLargestTick);
  codec_->time_base = av_inv_q(codec_->framerate);
  codec_->flags |= AV_CODEC_FLAG_BITEXACT | AV_CODEC_FLAG_QSCALE;
  codec_->global_quality = options_.quality * FF_QP2LAMBDA;
  codec_->thread_count = 1;
  codec_->colorspace = AVCOL_SPC_SMPTE170M;
  codec_->color_range =
      options_.pixel_format.starts_with("yuvj") ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
  if ((format_->oformat->flags & AVFMT_GLOBALHEADER) != 0) {
    codec_->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  }
  check(avcodec_open2(codec_.get(), encoder, more_.get()), "opening the encoder");
  frame_->format = codec_->pix_fmt;
  frame_->width = codec_->width;
  frame_->height = codec_->height;
  check(av_frame_get_buffer(frame_.get(), 0), "taking memory");
}

void FileEncoder::make_scaler() {
  scaler_.reset(sws_getContext(
      codec_->width, codec_->height, AV_PIX_FMT_RGB24, codec_->width, codec_->height,
      codec_->pix_fmt, SWS_BILINEAR | SWS_ACCURATE_RND | SWS_BITEXACT, nullptr, nullptr, nullptr));
  check(scaler_ == nullptr ? AVERROR(EINVAL) : 0, "converting from RGB");
  const int* matrix = sws_getCoefficients(SWS_CS_ITU601);
  const int full = codec_->color_range == AVCOL_RANGE_JPEG ? 1 : 0;
  constexpr int kOne = 1 << 16;
  sws_setColorspaceDetails(scaler_.get(), matrix, 1, matrix, full, 0, kOne, kOne);
}

void FileEncoder::write_header() {
  stream_->time_base = codec_->time_base;
  stream_->avg_frame_rate = codec_->framerate;
  check(avcodec_parameters_from_context(stream_->codecpar, codec_.get()), "describing the stream");
  if (options_.orientation != 1) set_display_matrix(*stream_, options_.orientation);
  check(avformat_write_header(format_.get(), more_.get()), "writing the beginning of the file");
}

void FileEncoder::add(const Image& image, int64_t tick) {
  VERACE_CHECK(image.width == options_.width && image.height == options_.height, options_.name);
  check(av_frame_make_writable(frame_.get()), "taking memory");
  const std::array<const uint8_t*, 4> rows = {image.rgb.data()};
  const std::array<int, 4> strides = {static_cast<int>(image.width * 3)};
  sws_scale(scaler_.get(), rows.data(), strides.data(), 0, codec_->height, frame_->data,
            frame_->linesize);
  frame_->pts = tick;
  frame_->quality = codec_->global_quality;
  encode(frame_.get());
}

void FileEncoder::encode(const AVFrame* frame) {
  check(avcodec_send_frame(codec_.get(), frame), "encoding");
  for (;;) {
    const int result = avcodec_receive_packet(codec_.get(), packet_.get());
    if (result == AVERROR(EAGAIN) || result == AVERROR_EOF) return;
    check(result, "encoding");
    av_packet_rescale_ts(packet_.get(), codec_->time_base, stream_->time_base);
    packet_->stream_index = stream_->index;
    check(av_interleaved_write_frame(format_.get(), packet_.get()), "writing");
  }
}

}  // namespace

std::unique_ptr<Encoder> make_encoder(ByteSink& sink, const EncoderOptions& options) {
  return std::make_unique<FileEncoder>(sink, options);
}

}  // namespace verace::data::video
