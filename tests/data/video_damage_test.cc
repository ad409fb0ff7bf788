// Damaged and truncated videos: as much as possible is read, the rest is named, nothing crashes
#include <random>

#include "tests/data/video_support.h"

namespace verace::data::testing::video_damage_test {
namespace {

using video::EncoderOptions;

struct Kind {
  const char *encoder, *container, *pixel_format;
};
constexpr std::array<Kind, 7> kKinds = {{{"mpeg4", "matroska", "yuv420p"},
                                         {"mpeg4", "mp4", "yuv420p"},
                                         {"mpeg4", "mpegts", "yuv420p"},
                                         {"mjpeg", "avi", "yuvj420p"},
                                         {"gif", "gif", "rgb8"},
                                         {"libx264", "matroska", "yuv420p"},
                                         {"libvpx-vp9", "webm", "yuv420p"}}};

ByteVector video_of(const Kind& kind, int64_t frames) {
  EncoderOptions options;
  options.encoder = kind.encoder;
  options.container = kind.container;
  options.pixel_format = kind.pixel_format;
  options.more = {{"g", "10"}};  // a key frame every ten frames
  return numbered_video(frames, options);
}

bool can_write(const Kind& kind) {
  if (video::library().has_encoder(kind.encoder)) return true;
  std::printf("SKIPPED data/video_damage_test [%s]: this FFmpeg has no such encoder\n",
              kind.encoder);
  return false;
}

struct Result {
  std::vector<SeenFrame> frames;
  std::string damage, error;
};

Result read_all(const fs::path& path, int threads) {
  Result result;
  result.error = input_error_if_any([&] {
    const auto source = open_frames(path, threads);
    result.frames = all_frames(*source);
    result.damage = source->damage();
  });
  return result;
}

bool same(const Result& a, const Result& b) {
  const auto equal = [](const SeenFrame& x, const SeenFrame& y) {
    return x.index == y.index && x.number == y.number && x.seconds == y.seconds;
  };
  return a.error == b.error && a.damage == b.damage &&
         std::ranges::equal(a.frames, b.frames, equal);
}

void check_order(const Result& result) {
  CHECK(result.error.find('\n') == std::string::npos);
  if (!result.error.empty()) CHECK(contains(result.error, "changed: "));
  for (size_t k = 1; k < result.frames.size(); ++k) {
    CHECK(result.frames[k].index > result.frames[k - 1].index);
  }
}

TEST_CASE("cut off in the middle: the frames up to there, and it is said") {
  if (!have_video("data/video_damage_test")) return;
  const TempFolder folder;
  for (const Kind& kind : kKinds) {
    if (!can_write(kind) || std::string(kind.container) == "mp4") continue;  // has no index then
    CAPTURE(kind.encoder);
    CAPTURE(kind.container);
    ByteVector bytes = video_of(kind, 60);
    bytes.resize(bytes.size() * 6 / 10);
    write_file(folder / "cut", bytes);
    const Result got = read_all(folder / "cut", 1);
    CHECK(got.error == "");
    CHECK(got.frames.size() >= 20);
    CHECK(got.frames.size() < 50);
    for (size_t k = 0; k < got.frames.size(); ++k) {
      CHECK(got.frames[k].index == static_cast<int64_t>(k));
      // Just before the cut a frame may be missing that would have been shown among them.
      if (k + 3 < got.frames.size()) CHECK(got.frames[k].number == static_cast<int64_t>(k));
      CHECK(got.frames[k].number >= static_cast<int64_t>(k));
    }
    // The others do not say how long they are.
    const std::string container = kind.container;
    if (container == "matroska" || container == "webm" || container == "avi") {
      CHECK(contains(got.damage, "that the file announces"));
    }
  }
}

TEST_CASE("damage in the middle: the frames behind it keep their places") {
  if (!have_video("data/video_damage_test")) return;
  const TempFolder folder;
  for (const Kind& kind : kKinds) {
    if (!can_write(kind)) continue;
    CAPTURE(kind.encoder);
    CAPTURE(kind.container);
    ByteVector bytes = video_of(kind, 60);
    std::mt19937 random(1);
    for (size_t i = bytes.size() * 4 / 10; i < bytes.size() * 45 / 100; ++i) {
      bytes[i] = std::byte(random() & 255);
    }
    write_file(folder / "damaged", bytes);
    const Result got = read_all(folder / "damaged", 1);
    CHECK(got.error == "");
    const std::string container = kind.container;
    if (container != "gif") CHECK(got.damage != "");
    REQUIRE(got.frames.size() >= 8);
    for (size_t k = 0; k < got.frames.size(); ++k) {
      const SeenFrame& frame = got.frames[k];
      CAPTURE(k);
      // No frame that was guessed: each shows a number, none twice.
      CHECK(frame.number >= frame.index);
      if (k > 0) CHECK(frame.number > got.frames[k - 1].number);
      // The container keeps each frame's time; in an AVI it is the frame's place.
      if (container != "avi") CHECK(std::lround(frame.seconds * 25) == frame.number);
      // Here it knows of the missing ones, too.
      if (container == "mp4") CHECK(frame.index == frame.number);
    }
    // Elsewhere (Matroska in one piece, GIF) nothing is found again.
    if (container == "mp4" || container == "mpegts" || container == "avi") {
      CHECK(got.frames.back().number == 59);
    }
  }
}

TEST_CASE("random damage: an error in one line or frames in order, and always the same") {
  if (!have_video("data/video_damage_test")) return;
  const TempFolder folder;
  std::mt19937 random(20);
  for (const Kind& kind : kKinds) {
    if (!can_write(kind)) continue;
    CAPTURE(kind.encoder);
    CAPTURE(kind.container);
    const ByteVector whole = video_of(kind, 25);
    int64_t readable = 0;
    for (int round = 0; round < 40; ++round) {
      CAPTURE(round);
      ByteVector bytes = whole;
      const int changes = 1 << random() % 7;
      for (int i = 0; i < changes; ++i) {
        bytes[random() % bytes.size()] = std::byte(random() & 255);
      }
      if (round % 4 == 3) bytes.resize(random() % bytes.size());
      write_file(folder / "changed", bytes);
      const Result got = read_all(folder / "changed", 1);
      if (got.error.empty()) ++readable;
      CHECK(same(got, read_all(folder / "changed", 1)));
      check_order(got);
      check_order(read_all(folder / "changed", 3));
    }
    CHECK(readable > 0);
  }
}

}  // namespace
}  // namespace verace::data::testing::video_damage_test
