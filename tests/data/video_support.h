// Helpers of the video tests: tiny videos whose frames say which they are.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/frame_source.h"
#include "data/video/library.h"
#include "tests/data/data_support.h"
#include "tests/support/sanitized.h"

namespace verace::data::testing {

// True where this build reads videos; else prints that the case of test `name` did not run. A build
// with FFmpeg whose module does not load is no reason to skip: then library() throws.
inline bool have_video(const char* name) {
#ifdef VERACE_HAVE_VIDEO
  (void)name;
  return true;
#else
  std::printf("SKIPPED %s: this build has no FFmpeg\n", name);
  return false;
#endif
}

inline constexpr int64_t kCodeBits = 8;

// The upper half: eight columns, white where `number` has a bit, the lowest bit on the left. The
// lower half: red on the left, blue on the right.
inline Image numbered_image(int64_t number, int64_t height = 48, int64_t width = 64) {
  std::vector<uint8_t> upper, lower;  // rows
  for (int64_t x = 0; x < width; ++x) {
    const bool bit = (number >> (x * kCodeBits / width) & 1) != 0;
    upper.insert(upper.end(), 3, bit ? 230 : 25);
    const bool left = x < width / 2;
    for (const int level : {left ? 200 : 30, 30, left ? 30 : 200}) {
      lower.push_back(static_cast<uint8_t>(level));
    }
  }
  Image image{height, width, {}};
  image.rgb.reserve(static_cast<size_t>(height * width * 3));
  for (int64_t y = 0; y < height; ++y) {
    const std::vector<uint8_t>& row = y < height / 2 ? upper : lower;
    image.rgb.insert(image.rgb.end(), row.begin(), row.end());
  }
  return image;
}

// Mean of a channel over a rectangle given in parts of the picture; of large ones, of every so many
// pixels.
inline double mean_of(const Image& image, int channel, double x1, double y1, double x2, double y2) {
  const auto part = [](double share, int64_t side) {
    return static_cast<int64_t>(share * static_cast<double>(side));
  };
  const int64_t step = 1 + image.width / 400;
  double sum = 0;
  int64_t count = 0;
  for (int64_t y = part(y1, image.height); y < part(y2, image.height); y += step) {
    for (int64_t x = part(x1, image.width); x < part(x2, image.width); x += step, ++count) {
      sum += image.rgb[static_cast<size_t>((y * image.width + x) * 3 + channel)];
    }
  }
  return sum / static_cast<double>(count);
}

// The number of an upright numbered_image(); -1 where it is none: a column neither bright nor
// dark, or colours in the wrong place.
inline int64_t number_of(const Image& image) {
  int64_t number = 0;
  for (int64_t bit = 0; bit < kCodeBits; ++bit) {
    const double left = static_cast<double>(bit) / kCodeBits;
    const double level = mean_of(image, 1, left + 0.03, 0.1, left + 0.095, 0.4);
    if (level > 180) {
      number |= int64_t{1} << bit;
    } else if (!(level < 75)) {
      return -1;
    }
  }
  const bool red =
      mean_of(image, 0, 0.1, 0.6, 0.4, 0.9) > 150 && mean_of(image, 2, 0.1, 0.6, 0.4, 0.9) < 80;
  const bool blue =
      mean_of(image, 2, 0.6, 0.6, 0.9, 0.9) > 150 && mean_of(image, 0, 0.6, 0.6, 0.9, 0.9) < 80;
  return red && blue ? number : -1;
}

class BytesSink final : public video::ByteSink {
 public:
  void write(std::span<const std::byte> bytes) override {
    if (bytes_.size() < place_ + bytes.size()) bytes_.resize(place_ + bytes.size());
    std::copy(bytes.begin(), bytes.end(), bytes_.begin() + static_cast<ptrdiff_t>(place_));
    place_ += bytes.size();
  }
  void seek(int64_t offset) override { place_ = static_cast<size_t>(offset); }
  const ByteVector& bytes() const { return bytes_; }

 private:
  ByteVector bytes_;
  size_t place_ = 0;
};

// While one lives, memory that encoders lose (libx265 does) is not counted as ours.
struct NoLeakCheck {
  NoLeakCheck() {
    if (__lsan_disable != nullptr) __lsan_disable();
  }
  ~NoLeakCheck() {
    if (__lsan_enable != nullptr) __lsan_enable();
  }
  NoLeakCheck(const NoLeakCheck&) = delete;
  NoLeakCheck& operator=(const NoLeakCheck&) = delete;
};

// A video of numbered images 0, 1, ...; without `ticks` one per tick.
inline ByteVector numbered_video(int64_t frames, video::EncoderOptions options = {},
                                 const std::vector<int64_t>& ticks = {}) {
  if (options.width == 0) options.width = 64;
  if (options.height == 0) options.height = 48;
  options.name = "test video";
  const NoLeakCheck encoders_only;
  BytesSink sink;
  const auto encoder = video::library().encode(sink, options);
  for (int64_t k = 0; k < frames; ++k) {
    encoder->add(numbered_image(k, options.height, options.width),
                 ticks.empty() ? k : ticks[static_cast<size_t>(k)]);
  }
  encoder->finish();
  return sink.bytes();
}

// A second of silence, as a WAV file.
inline std::string wav() {
  std::vector<uint8_t> out = {'R', 'I', 'F', 'F'};
  put(out, 36 + 8000, 4, true);
  for (const char c : std::string("WAVEfmt ")) out.push_back(static_cast<uint8_t>(c));
  put(out, 16, 4, true);
  put(out, 1, 2, true);
  put(out, 1, 2, true);
  put(out, 8000, 4, true);
  put(out, 8000, 4, true);
  put(out, 1, 2, true);
  put(out, 8, 2, true);
  for (const char c : std::string("data")) out.push_back(static_cast<uint8_t>(c));
  put(out, 8000, 4, true);
  out.insert(out.end(), 8000, 128);
  return {out.begin(), out.end()};
}

struct SeenFrame {
  int64_t index = 0, number = 0;
  double seconds = 0;
};

// All frames of a source, and that damage() stays one line.
inline std::vector<SeenFrame> all_frames(FrameSource& source) {
  std::vector<SeenFrame> frames;
  while (source.advance()) {
    const Image image = source.image();
    REQUIRE(static_cast<int64_t>(image.rgb.size()) == image.height * image.width * 3);
    frames.push_back({source.index(), number_of(image), source.seconds()});
  }
  CHECK(!source.advance());
  CHECK(source.damage().find('\n') == std::string::npos);
  return frames;
}

// Frames 0 .. count-1, each showing its number.
inline void check_complete(FrameSource& source, int64_t count) {
  CHECK(source.info().frames == count);
  const std::vector<SeenFrame> frames = all_frames(source);
  REQUIRE(static_cast<int64_t>(frames.size()) == count);
  for (int64_t k = 0; k < count; ++k) {
    CHECK(frames[static_cast<size_t>(k)].index == k);
    CHECK(frames[static_cast<size_t>(k)].number == k);
  }
  CHECK(source.damage() == "");
}

}  // namespace verace::data::testing
