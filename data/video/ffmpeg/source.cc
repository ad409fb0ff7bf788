// Decoding a video from its first frame to its last.
#include "data/video/ffmpeg/source.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "data/text.h"
#include "data/video/ffmpeg/converter.h"
#include "data/video/ffmpeg/demuxer.h"
#include "data/video/ffmpeg/orientation.h"
#include "data/video/ffmpeg/packet_table.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data::video {
namespace {

// So many errors without a frame between them: the decoder is stuck.
constexpr int kMaxErrorsInARow = 10'000;

class VideoSource final : public FrameSource {
 public:
  VideoSource(const std::filesystem::path& path, int threads)
      : name_(name_of(path)),
        table_(path),
        demuxer_(path),
        frame_(av_frame_alloc()),
        packet_(av_packet_alloc()),
        converter_(name_) {
    VERACE_CHECK(frame_ != nullptr && packet_ != nullptr, "no memory");
    open_decoder(threads);
    describe();
  }

  const FrameSourceInfo& info() const override { return info_; }
  bool advance() override;
  int64_t index() const override { return index_; }
  double seconds() const override { return seconds_; }
  Image image() override {
    VERACE_CHECK(index_ >= 0 && !ended_, "no current frame");
    return converter_.convert(*frame_, orientation());
  }
  std::string damage() const override;

 private:
  void open_decoder(int threads);
  void describe();
  int orientation() const;
  void feed();
  bool accept();
  bool end();

  std::string name_;
  PacketTable table_;
  Demuxer demuxer_;
  CodecPointer codec_;
  FramePointer frame_;
  PacketPointer packet_;
  Converter converter_;
  FrameSourceInfo info_;

  bool fed_all_ = false, ended_ = false;
  int64_t index_ = -1;
  double seconds_ = 0;
  int64_t first_time_ = AV_NOPTS_VALUE;
  int64_t fed_ = 0;            // packets read
  std::set<int64_t> flaws_;    // places of packets that are damaged
  int64_t refused_ = 0;        // of them: not even in parts
  int64_t decoded_ = 0;        // frames handed on
  int64_t faulty_ = 0;         // frames that the decoder could only guess in parts
  int64_t built_on_them_ = 0;  // frames that were predicted from missing ones
};

void VideoSource::open_decoder(int threads) {
  const AVStream& stream = demuxer_.stream();
  codec_.reset(avcodec_alloc_context3(&demuxer_.decoder()));
  VERACE_CHECK(codec_ != nullptr, "no memory");
  int result = avcodec_parameters_to_context(codec_.get(), stream.codecpar);
  codec_->pkt_timebase = stream.time_base;
  codec_->max_pixels = kMaxImagePixels;
  codec_->thread_count = std::max(threads, 1);
  if (result >= 0) result = avcodec_open2(codec_.get(), &demuxer_.decoder(), nullptr);
  if (result < 0) {
    fail_input(
        text::format("{}: its video ({}) cannot be decoded (FFmpeg: {}); convert it to H.264",
                     name_, demuxer_.decoder().name, av_error_text(result)));
  }
}

int VideoSource::orientation() const {
  const int32_t* matrix = display_matrix(demuxer_.stream());
  if (matrix == nullptr) {
    const AVFrameSideData* data = av_frame_get_side_data(frame_.get(), AV_FRAME_DATA_DISPLAYMATRIX);
    if (data != nullptr && data->size >= 9 * sizeof(int32_t)) {
      matrix = reinterpret_cast<const int32_t*>(data->data);
    }
  }
  return orientation_of(matrix);
}

void VideoSource::describe() {
  const AVCodecParameters& parameters = *demuxer_.stream().codecpar;
  info_.width = parameters.width;
  info_.height = parameters.height;
  if (orientation() >= 5) std::swap(info_.width, info_.height);
  info_.frames = table_.frames();
  info_.seconds = table_.seconds();
  info_.format = text::format("{} in {}", avcodec_get_name(parameters.codec_id),
                              demuxer_.format().iformat->name);
}

// One more packet to the decoder, which has asked for it.
void VideoSource::feed() {
  if (!demuxer_.read(*packet_)) {
    fed_all_ = true;
    avcodec_send_packet(codec_.get(), nullptr);
    return;
  }
  const bool damaged = (packet_->flags & AV_PKT_FLAG_CORRUPT) != 0;
  if (damaged || avcodec_send_packet(codec_.get(), packet_.get()) < 0) {
    ++refused_;
    flaws_.insert(fed_);
  }
  ++fed_;
}

// The decoder's frame becomes the current one, unless it is not what the camera has seen: guessed
// in parts (concealed), or predicted from frames that are missing.
bool VideoSource::accept() {
  check_frame_size(name_, frame_->width, frame_->height);  // headers may say something else
  const int64_t time = frame_->best_effort_timestamp;
  const auto place = table_.place_of(time);
  const int64_t stored = place ? place->stored : fed_ - 1;
  const bool guessed =
      frame_->decode_error_flags != 0 || (frame_->flags & AV_FRAME_FLAG_CORRUPT) != 0;
  if (guessed) flaws_.insert(stored);
  const auto flaw = flaws_.lower_bound(table_.key_before(stored));
  if (flaw != flaws_.end() && *flaw <= stored) {
    ++(guessed ? faulty_ : built_on_them_);
    return false;
  }
  index_ = std::max(index_ + 1, place ? place->shown : 0);
  const double rate = av_q2d(demuxer_.stream().avg_frame_rate);
  if (time == AV_NOPTS_VALUE) {
    seconds_ = rate > 0 ? static_cast<double>(index_) / rate : 0;
  } else {
    if (first_time_ == AV_NOPTS_VALUE) first_time_ = time;
    seconds_ = static_cast<double>(time - first_time_) * av_q2d(demuxer_.stream().time_base);
  }
  ++decoded_;
  return true;
}

bool VideoSource::end() {
  ended_ = true;
  if (decoded_ == 0) {
    fail_input(
        text::format("{}: none of its {} frames can be decoded: damaged or cut off; "
                     "replace it",
                     name_, table_.frames()));
  }
  return false;
}

bool VideoSource::advance() {
  if (ended_) return false;
  for (int errors = 0; errors < kMaxErrorsInARow;) {
    const int result = avcodec_receive_frame(codec_.get(), frame_.get());
    if (result >= 0) {
      if (frame_->width > 0 && frame_->height > 0 && accept()) return true;
    } else if (result == AVERROR(EAGAIN)) {
      if (fed_all_) return end();
      feed();
    } else if (result == AVERROR_EOF) {
      return end();
    } else {
      ++refused_;
      flaws_.insert(fed_ - 1);
      ++errors;
    }
  }
  return end();
}

std::string VideoSource::damage() const {
  std::string text;
  const auto add = [&text](const std::string& part) { text += (text.empty() ? "" : "; ") + part; };
  if (!table_.shortfall().empty()) add(table_.shortfall());
  if (demuxer_.failures() > 0) add(text::format("{} places cannot be read", demuxer_.failures()));
  if (refused_ > 0) add(text::format("{} damaged packets", refused_));
  if (faulty_ > 0) add(text::format("{} frames left out, damaged in parts", faulty_));
  if (built_on_them_ > 0) {
    add(text::format("{} frames left out, predicted from damaged ones", built_on_them_));
  }
  const int64_t seen = decoded_ + faulty_ + built_on_them_;
  if (ended_ && seen < info_.frames) {
    add(text::format("{} of {} frames could not be decoded", info_.frames - seen, info_.frames));
  }
  return text;
}

}  // namespace

std::unique_ptr<FrameSource> open_video(const std::filesystem::path& path, int threads) {
  return std::make_unique<VideoSource>(path, threads);
}

}  // namespace verace::data::video
