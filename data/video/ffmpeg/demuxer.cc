// Opening a container and reading the packets of its video stream.
#include "data/video/ffmpeg/demuxer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "data/image.h"
#include "data/text.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data::video {
namespace {

constexpr int kBufferBytes = 1 << 16;
// Containers whose file is all there is. Not among them: playlists and descriptions (hls, dash,
// concat, sdp), which name other files and addresses; single pictures. The last four are sound: so
// that it can be said that there is no video in them.
constexpr const char* kContainers =
    "matroska,mov,avi,gif,mpegts,mpeg,mpegvideo,flv,asf,ogg,m4v,h264,hevc,ivf,obu,mjpeg,nut,"
    "wav,mp3,flac,aac";
// So many packets in a row cannot be read: then nothing after them is looked for.
constexpr int64_t kMaxFailuresInARow = 64;

int refuse_to_open(AVFormatContext* /*context*/, AVIOContext** /*io*/, const char* /*url*/,
                   int /*flags*/, AVDictionary** /*options*/) {
  return AVERROR(EPERM);
}

// The options of each stream while FFmpeg looks into them: no decoder takes memory for larger
// frames than we read.
int find_stream_info(AVFormatContext* format) {
  std::vector<AVDictionary*> options(format->nb_streams, nullptr);
  for (AVDictionary*& one : options) av_dict_set_int(&one, "max_pixels", kMaxImagePixels, 0);
  const int result = avformat_find_stream_info(format, options.empty() ? nullptr : options.data());
  for (AVDictionary*& one : options) av_dict_free(&one);
  return result;
}

std::string kinds_of_streams(const AVFormatContext& format) {
  std::string text;
  for (unsigned i = 0; i < format.nb_streams; ++i) {
    const AVStream& stream = *format.streams[i];
    const char* kind = av_get_media_type_string(stream.codecpar->codec_type);
    if ((stream.disposition & AV_DISPOSITION_ATTACHED_PIC) != 0) kind = "a cover picture";
    text += (text.empty() ? "" : ", ") + std::string(kind == nullptr ? "unknown" : kind);
  }
  return text.empty() ? "nothing" : text;
}

}  // namespace

InputFile::InputFile(const std::filesystem::path& path) {
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) {
    fail_input(text::format("{}: cannot be opened ({}); check that it may be read", name_of(path),
                            std::strerror(errno)));
  }
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    fail_input(text::format("{}: is not a regular file; name a video file", name_of(path)));
  }
  size_ = status.st_size;
}

InputFile::~InputFile() { ::close(descriptor_); }

int InputFile::read(void* self, uint8_t* buffer, int size) {
  const int descriptor = static_cast<InputFile*>(self)->descriptor_;
  for (;;) {
    const ssize_t count = ::read(descriptor, buffer, static_cast<size_t>(size));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return AVERROR(errno);
    return count == 0 ? AVERROR_EOF : static_cast<int>(count);
  }
}

int64_t InputFile::seek(void* self, int64_t offset, int whence) {
  const auto* file = static_cast<InputFile*>(self);
  if ((whence & AVSEEK_SIZE) != 0) return file->size_;
  const off_t place = ::lseek(file->descriptor_, offset, whence & ~AVSEEK_FORCE);
  return place < 0 ? AVERROR(errno) : place;
}

void check_frame_size(const std::string& name, int64_t width, int64_t height) {
  if (width > kMaxImageSide || height > kMaxImageSide || width * height > kMaxImagePixels) {
    fail_input(
        text::format("{}: {}x{} pixels are more than the {} per side and {} in all that are read; "
                     "scale it down",
                     name, width, height, kMaxImageSide, kMaxImagePixels));
  }
}

Demuxer::Demuxer(const std::filesystem::path& path) : name_(name_of(path)), file_(path) {
  open();
  find_video_stream();
  const int64_t width = stream_->codecpar->width, height = stream_->codecpar->height;
  if (width < 1 || height < 1) {
    fail_input(text::format(
        "{}: is a video without a size of its frames: damaged or cut off; replace it", name_));
  }
  check_frame_size(name_, width, height);
}

void Demuxer::open() {
  auto* buffer = static_cast<unsigned char*>(av_malloc(kBufferBytes));
  VERACE_CHECK(buffer != nullptr, "no memory");
  io_.reset(avio_alloc_context(buffer, kBufferBytes, 0, &file_, &InputFile::read, nullptr,
                               &InputFile::seek));
  AVFormatContext* format = avformat_alloc_context();
  VERACE_CHECK(io_ != nullptr && format != nullptr, "no memory");
  format->pb = io_.get();
  format->io_open = refuse_to_open;
  AvOptions options;
  options.set("format_whitelist", kContainers);
  options.set("protocol_whitelist", "none");
  // No name: what a file is, its content says. A failure frees `format`.
  const int result = avformat_open_input(&format, "", nullptr, options.get());
  if (result < 0) {
    fail_input(text::format(
        "{}: is not a video that can be read, or its beginning or index is damaged or cut off "
        "(FFmpeg: {}); replace it",
        name_, av_error_text(result)));
  }
  format_.reset(format);
  for (unsigned i = 0; i < format_->nb_streams; ++i) {
    const AVCodecParameters& stream = *format_->streams[i]->codecpar;
    check_frame_size(name_, stream.width, stream.height);
  }
  // What it does not find out is missed below, or by the decoder.
  find_stream_info(format);
}

void Demuxer::find_video_stream() {
  const int index = av_find_best_stream(format_.get(), AVMEDIA_TYPE_VIDEO, -1, -1, &decoder_, 0);
  if (index == AVERROR_DECODER_NOT_FOUND) {
    fail_input(text::format(
        "{}: is a video, but FFmpeg {} on this machine has no decoder for it; convert it to H.264",
        name_, av_version_info()));
  }
  if (index < 0 || (format_->streams[index]->disposition & AV_DISPOSITION_ATTACHED_PIC) != 0) {
    fail_input(text::format("{}: has no video stream (found {}); name a video file", name_,
                            kinds_of_streams(*format_)));
  }
  stream_ = format_->streams[index];
  for (unsigned i = 0; i < format_->nb_streams; ++i) {
    if (static_cast<int>(i) != index) format_->streams[i]->discard = AVDISCARD_ALL;
  }
}

bool Demuxer::read(AVPacket& packet) {
  for (int64_t in_a_row = 0; in_a_row < kMaxFailuresInARow;) {
    av_packet_unref(&packet);
    const int result = av_read_frame(format_.get(), &packet);
    if (result == AVERROR_EOF) return false;
    if (result < 0) {
      ++failures_;
      ++in_a_row;
    } else if (packet.stream_index == stream_->index) {
      return true;
    }
  }
  return false;
}

}  // namespace verace::data::video
