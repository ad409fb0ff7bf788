// The frames of a video, counted without decoding.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/video/ffmpeg/demuxer.h"

namespace verace::data::video {

// One pass over the packets of a file.
class PacketTable {
 public:
  // Throws as Demuxer does.
  explicit PacketTable(const std::filesystem::path& path);

  int64_t frames() const { return frames_; }   // that are to be shown
  double seconds() const { return seconds_; }  // from the first frame to the end of the last; or 0
  // What is missing of what the file announces, in one phrase; empty: nothing.
  const std::string& shortfall() const { return shortfall_; }

  // The frame with this time stamp (in the stream's unit): its place in the order in which frames
  // are shown, and the place of its packet in the file. None where the packets do not tell.
  struct Place {
    int64_t shown = 0, stored = 0;
  };
  std::optional<Place> place_of(int64_t time) const;
  // The last packet at or before place `stored` from which decoding can begin; 0 where none is.
  int64_t key_before(int64_t stored) const;

 private:
  struct Entry {
    int64_t time = 0, stored = 0;
  };
  void read(Demuxer& demuxer);
  void compare_with_header(const Demuxer& demuxer);

  int64_t frames_ = 0, packets_ = 0;
  int64_t last_duration_ = 0;  // of the packet read last, in the stream's unit
  double seconds_ = 0;
  std::string shortfall_;
  std::vector<Entry> entries_;  // by time; empty where times are not known or not distinct
  std::vector<int64_t> keys_;   // places of key packets, ascending
};

}  // namespace verace::data::video
