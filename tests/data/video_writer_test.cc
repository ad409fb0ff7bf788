// Writing videos and folders of frames: read back, placed whole or not at all, refusals
#include "data/video_writer.h"

#include "tests/data/video_support.h"

namespace verace::data::testing::video_writer_test {
namespace {

int64_t entries_of(const fs::path& folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

TEST_CASE("each ending is read back: all frames, size and rate") {
  if (!have_video("data/video_writer_test")) return;
  const TempFolder folder;
  for (const char* name : {"out.mp4", "out.mov", "out.mkv", "out.avi"}) {
    CAPTURE(std::string(name));
    const auto writer = create_video(folder / name, 75, 53, 30000.0 / 1001);  // odd sides
    for (int64_t k = 0; k < 20; ++k) writer->add(numbered_image(k, 53, 75));
    CHECK(!fs::exists(folder / name));
    writer->finish();
    CHECK(contains(writer->description(), name));
    CHECK(entries_of(folder.path()) == 1);
    const auto source = open_frames(folder / name);
    CHECK(
        contains(source->info().format, fs::path(name).extension() == ".avi" ? "mjpeg" : "mpeg4"));
    CHECK(source->info().width == 75);
    CHECK(source->info().height == 53);
    check_complete(*source, 20);
    CHECK(std::abs(source->seconds() - 19 * 1001 / 30000.0) < 2e-3);
    fs::remove(folder / name);
  }
}

// The mean absolute difference of two pictures.
double difference(const Image& a, const Image& b) {
  REQUIRE(a.rgb.size() == b.rgb.size());
  double sum = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) sum += std::abs(a.rgb[i] - b.rgb[i]);
  return sum / static_cast<double>(a.rgb.size());
}

TEST_CASE("pictures come back as they were, but for the compression") {
  if (!have_video("data/video_writer_test")) return;
  const TempFolder folder;
  for (const char* name : {"out.mp4", "out.avi"}) {
    CAPTURE(std::string(name));
    const auto writer = create_video(folder / name, 160, 120, 25);
    for (int k = 0; k < 3; ++k) writer->add(smooth_image(120, 160, k));
    writer->finish();
    const auto source = open_frames(folder / name);
    for (int k = 0; k < 3; ++k) {
      REQUIRE(source->advance());
      CHECK(difference(source->image(), smooth_image(120, 160, k)) < 6);
    }
  }
}

TEST_CASE("equal frames, equal files; an old file is replaced") {
  if (!have_video("data/video_writer_test")) return;
  const TempFolder folder;
  const auto write = [&folder](const char* name, int64_t frames) {
    const auto writer = create_video(folder / name, 64, 48, 25);
    for (int64_t k = 0; k < frames; ++k) writer->add(numbered_image(k));
    writer->finish();
    return test::read_text(folder / name);
  };
  const std::string first = write("a.mp4", 5);
  CHECK(first == write("b.mp4", 5));
  CHECK(write("a.mp4", 7) != first);
  check_complete(*open_frames(folder / "a.mp4"), 7);
}

TEST_CASE("not finished: nothing is left") {
  const TempFolder folder;
  for (const char* name : {"out.mp4", "out.avi", "frames"}) {
    const auto writer = create_video(folder / name, 64, 48, 25);
    writer->add(numbered_image(0));
  }
  CHECK(entries_of(folder.path()) == 0);
}

TEST_CASE("a folder of frames") {
  const TempFolder folder;
  const auto writer = create_video(folder / "frames", 64, 48, 25);
  for (int64_t k = 0; k < 12; ++k) writer->add(numbered_image(k));
  CHECK(!fs::exists(folder / "frames"));
  writer->finish();
  CHECK(contains(writer->description(), "12 JPEG frames in folder"));
  check_complete(*open_frames(folder / "frames"), 12);
  CHECK(entries_of(folder.path()) == 1);
  CHECK(contains(input_error([&] { create_video(folder / "frames", 64, 48, 25); }),
                 "is there already"));
}

TEST_CASE("what cannot be written is refused by name") {
  const TempFolder folder;
  CHECK(contains(input_error([&] { create_video(folder / "out.wmv", 64, 48, 25); }), "out.wmv: "));
  for (const char* name : {"gone/out.mp4", "gone/frames"}) {
    CHECK(contains(input_error([&] { create_video(folder / name, 64, 48, 25); }),
                   "cannot be created"));
  }
  if (!have_video("data/video_writer_test")) return;
  // MPEG-4 stores sides in 13 bits.
  const std::string error = input_error([&] { create_video(folder / "out.mp4", 9000, 48, 25); });
  CHECK(contains(error, "out.mp4: cannot be written as mpeg4 in mp4 of 9000x48 pixels"));
  CHECK(entries_of(folder.path()) == 0);
  // A rate that is none.
  const auto writer = create_video(folder / "out.mkv", 64, 48, 0);
  for (int64_t k = 0; k < 3; ++k) writer->add(numbered_image(k));
  writer->finish();
  const auto source = open_frames(folder / "out.mkv");
  check_complete(*source, 3);
  CHECK(source->seconds() == doctest::Approx(2 / 25.0));
}

TEST_CASE("a full disc is an error that names the file") {
  if (!have_video("data/video_writer_test")) return;
  struct FullSink final : video::ByteSink {
    void write(std::span<const std::byte> bytes) override {
      left -= static_cast<int64_t>(bytes.size());
      if (left < 0) fail_input("out.mp4: cannot be written (No space left on device)");
    }
    void seek(int64_t /*offset*/) override {}
    int64_t left = 0;
  };
  for (const int64_t room : {0, 100, 70'000}) {
    CAPTURE(room);
    FullSink sink;
    sink.left = room;
    const std::string error = input_error([&sink] {
      video::EncoderOptions options;
      options.name = "out.mp4";
      options.width = 640;
      options.height = 480;
      const auto encoder = video::library().encode(sink, options);
      for (int64_t k = 0; k < 60; ++k) encoder->add(smooth_image(480, 640, static_cast<int>(k)), k);
      encoder->finish();
    });
    CHECK(contains(error, "No space left on device"));
  }
}

}  // namespace
}  // namespace verace::data::testing::video_writer_test
