// Counting packets, sorting their time stamps, and what the header has announced.
#include "data/video/ffmpeg/packet_table.h"

extern "C" {
#include <libavutil/parseutils.h>
}

#include <algorithm>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data::video {
namespace {

// Shorter by less than this is no sign of a cut: the last frame's duration is not always known.
constexpr double kTolerated = 0.5;

// Where the stream ends by its file's header, in seconds; 0 where that is not known of this stream.
double announced_end(const Demuxer& demuxer) {
  const AVDictionaryEntry* tag =
      av_dict_get(demuxer.stream().metadata, "DURATION", nullptr, AV_DICT_IGNORE_SUFFIX);
  int64_t microseconds = 0;
  if (tag != nullptr && av_parse_time(&microseconds, tag->value, 1) >= 0) {
    return static_cast<double>(microseconds) / 1e6;
  }
  const AVFormatContext& format = demuxer.format();
  const bool stored = format.duration_estimation_method == AVFMT_DURATION_FROM_STREAM;
  if (!stored || format.nb_streams != 1 || format.duration <= 0) return 0;
  return static_cast<double>(format.duration) / AV_TIME_BASE;
}

}  // namespace

PacketTable::PacketTable(const std::filesystem::path& path) {
  Demuxer demuxer(path);
  read(demuxer);
  if (!entries_.empty()) {
    const int64_t length = entries_.back().time - entries_.front().time + last_duration_;
    seconds_ = av_q2d(demuxer.stream().time_base) * static_cast<double>(length);
  } else if (const double rate = av_q2d(demuxer.stream().avg_frame_rate); rate > 0) {
    seconds_ = static_cast<double>(frames_) / rate;
  }
  compare_with_header(demuxer);
}

void PacketTable::read(Demuxer& demuxer) {
  const PacketPointer packet(av_packet_alloc());
  VERACE_CHECK(packet != nullptr, "no memory");
  bool known = true;
  for (; demuxer.read(*packet); ++packets_) {
    if ((packet->flags & AV_PKT_FLAG_KEY) != 0) keys_.push_back(packets_);
    if ((packet->flags & AV_PKT_FLAG_DISCARD) != 0) continue;  // an edit list hides it
    ++frames_;
    known = known && packet->pts != AV_NOPTS_VALUE;
    if (known) entries_.push_back({packet->pts, packets_});
    last_duration_ = packet->duration;
  }
  std::ranges::sort(entries_, {}, &Entry::time);
  const auto twice = std::ranges::adjacent_find(entries_, {}, &Entry::time);
  if (!known || twice != entries_.end()) entries_.clear();
}

void PacketTable::compare_with_header(const Demuxer& demuxer) {
  const int64_t announced = demuxer.stream().nb_frames;
  if (announced > packets_) {
    shortfall_ = text::format("only {} of the {} frames that the file announces are in it",
                              packets_, announced);
    return;
  }
  if (entries_.empty()) return;
  const double end = av_q2d(demuxer.stream().time_base) *
                     static_cast<double>(entries_.back().time + last_duration_);
  if (const double wanted = announced_end(demuxer); wanted - end > kTolerated) {
    shortfall_ =
        text::format("only {:.1f} of the {:.1f} seconds that the file announces can be found in it",
                     end, wanted);
  }
}

std::optional<PacketTable::Place> PacketTable::place_of(int64_t time) const {
  const auto found = std::ranges::lower_bound(entries_, time, {}, &Entry::time);
  if (found == entries_.end() || found->time != time) return std::nullopt;
  return Place{found - entries_.begin(), found->stored};
}

int64_t PacketTable::key_before(int64_t stored) const {
  const auto behind = std::ranges::upper_bound(keys_, stored);
  return behind == keys_.begin() ? 0 : *(behind - 1);
}

}  // namespace verace::data::video
