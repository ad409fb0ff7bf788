// verace faces through the real program: what it says, what it leaves, and what it refuses.
#include <sys/stat.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "data/dataset.h"
#include "tests/cli/faces_support.h"
#include "tests/cli/world.h"
#include "tests/data/video_support.h"

namespace verace::faces_test {
namespace {

namespace fs = std::filesystem;
using test::contains;
using test::expect_error;
using test::FacesProgram;
using test::Finished;
using test::read_text;

TEST_CASE("a data set: crops, manifest, account, sheet; said in a few lines") {
  const FacesProgram program;
  test::write_coarse_set(program.path() / "set", 2, 5);
  test::write_text(program.path() / "set/fake/broken.mp4", "no video");
  const Finished finished =
      program.run({"set"}, "out", {"--faces-per-video", "3", "--timing", "--crop", "square"});
  INFO(finished.err);
  REQUIRE(finished.code == 0);
  CHECK(finished.err == "");
  CHECK(contains(finished.out, "cannot be read (1):"));
  CHECK(contains(finished.out, "broken.mp4"));
  CHECK(contains(finished.out, "of 15 wanted frames of 5 videos"));
  CHECK(contains(finished.out, "frames/s"));
  const data::Dataset dataset = data::load_dataset(program / "out/manifest.csv");
  CHECK(dataset.samples.size() >= 8);
  CHECK(dataset.ignored_columns.empty());
  for (const data::Sample& sample : dataset.samples) {
    const data::Image crop = data::read_image(sample.path);
    CHECK(crop.height == 32);
    CHECK(crop.width == 32);
    CHECK(sample.landmarks.has_value());
  }
  for (const char* name : {"account.csv", "account.json", "contact_sheet.png", "faces.json"}) {
    CHECK(fs::exists(program / ("out/" + std::string(name))));
  }
  CHECK_FALSE(fs::exists(program / "out/splits.txt"));
  // Once more: nothing to do, and the same.
  const std::string manifest = read_text(program / "out/manifest.csv");
  const Finished again =
      program.run({"set"}, "out", {"--faces-per-video", "3", "--crop", "square"});
  CHECK(again.code == 0);
  CHECK(contains(again.out, "(4 were done before)"));
  CHECK(read_text(program / "out/manifest.csv") == manifest);
  expect_error(program.run({"set"}, "out", {"--faces-per-video", "3"}),
               "--crop square, and now it is tight");
}

TEST_CASE("inputs without a face: exit code 2, and the account says why") {
  const FacesProgram program;
  test::write_text(program.path() / "empty.mp4", "");
  test::write_text(program.path() / "text.mp4", "not a video at all\n");
  // Below any threshold that the narrow detector reaches.
  test::write_coarse_video(program.path() / "faceless", 3, 2);
  const Finished finished = program.run({"empty.mp4", "text.mp4", "faceless"}, "out",
                                        {"--min-score", "1", "--label", "real"});
  INFO(finished.err);
  CHECK(finished.code == 2);
  CHECK(contains(finished.err, "no face was found in any of 3 videos"));
  CHECK(contains(finished.out, "no face found in 2 frames"));
  CHECK(contains(finished.out, "the video has 2 of 10 frames"));
  const std::string account = read_text(program / "out/account.csv");
  for (const char* name : {"empty.mp4", "text.mp4", "faceless"}) CHECK(contains(account, name));
  CHECK(read_text(program / "out/manifest.csv").find('\n') ==
        read_text(program / "out/manifest.csv").size() - 1);
}

// A film of coarse pictures.
data::testing::ByteVector film(int64_t frames, const char* container) {
  data::video::EncoderOptions options;
  options.container = container;
  options.width = 84;
  options.height = 62;
  options.name = "test film";
  const data::testing::NoLeakCheck encoders_only;
  data::testing::BytesSink sink;
  const auto encoder = data::video::library().encode(sink, options);
  for (int64_t k = 0; k < frames; ++k) {
    encoder->add(test::coarse_picture(static_cast<uint32_t>(k), options.height, options.width), k);
  }
  encoder->finish();
  return sink.bytes();
}

TEST_CASE("films: whole, cut off, without their index, of sound alone") {
  if (!data::testing::have_video("cli/faces_test")) return;
  const FacesProgram program;
  const auto write = [&program](const char* name, std::span<const std::byte> bytes) {
    test::write_text(program.path() / name,
                     {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  };
  const data::testing::ByteVector mp4 = film(20, "mp4"), mkv = film(20, "matroska");
  write("whole.mp4", mp4);
  write("cut.mkv", std::span(mkv).first(mkv.size() * 6 / 10));
  write("no_index.mp4", std::span(mp4).first(mp4.size() / 2));
  test::write_text(program.path() / "sound.mp4", data::testing::wav());
  const Finished finished =
      program.run({"whole.mp4", "cut.mkv", "no_index.mp4", "sound.mp4"}, "out",
                  {"--faces-per-video", "20", "--sampling", "sequential", "--label", "real"});
  INFO(finished.err);
  INFO(finished.out);
  CHECK(finished.code == 0);
  CHECK(contains(finished.out, "cannot be read (2):"));
  CHECK(contains(finished.out, "no_index.mp4: is not a video that can be read, or its beginning"));
  CHECK(contains(finished.out, "sound.mp4: has no video stream (found audio)"));
  CHECK(contains(finished.out, "fewer faces than asked for (1):"));
  CHECK(contains(finished.out, " of 80 wanted frames of 4 videos"));
  // Each picture that is left has a face; of the whole film all are.
  const std::string account = read_text(program / "out/account.csv");
  CHECK(contains(account, "whole.mp4,real," + program / "whole,,,20,20,20,20,,,"));
  CHECK(contains(account, "of 20 frames"));
  CHECK(contains(account, "no_index.mp4,real," + program / "no_index,,,0,0,0,0,"));
  const std::string manifest = read_text(program / "out/manifest.csv");
  int64_t left = 0;
  for (size_t at = manifest.find("cut"); at != std::string::npos;
       at = manifest.find("cut", at + 3)) {
    ++left;
  }
  CHECK(left > 5);
}

TEST_CASE("a frame of 8K, and a damaged one beside it") {
  const FacesProgram program;
  fs::create_directories(program / "v");
  const data::Image line = test::coarse_picture(5, 1, 7680);
  data::Image frame{4320, 7680, {}};  // of equal lines, which are packed fast
  for (int64_t y = 0; y < frame.height; ++y) {
    frame.rgb.insert(frame.rgb.end(), line.rgb.begin(), line.rgb.end());
  }
  data::write_png(program / "v/0.png", frame, data::Durability::kFast);
  test::write_text(program.path() / "v/1.png", "\x89PNG\r\n\x1a\ncut off");
  const Finished finished = program.run({"v"}, "out", {"--label", "real", "--long-side", "256"});
  INFO(finished.err);
  CHECK(finished.code == 0);
  CHECK(contains(finished.out, "damaged (1)"));
  CHECK(contains(finished.out, "1.png"));
}

TEST_CASE("refusals: one line, before any work") {
  const FacesProgram program;
  test::write_coarse_video(program.path() / "v", 1, 2);
  test::write_text(program.path() / "weights.pth", "no weights");
  const auto refused = [&](const std::vector<std::string>& more, const std::string& part) {
    CAPTURE(part);
    expect_error(program.run({"v"}, "out", more), part);
    CHECK_FALSE(fs::exists(program / "out"));
  };
  refused({"--faces-per-video", "0"}, "--faces-per-video: '0' is neither");
  refused({"--faces-per-video", "real=3"}, "real=N,fake=N");
  refused({"--faces-per-video", "real=3,fake=x"}, "real=N,fake=N");
  refused({"--faces-per-video", "real=3,fake=2"}, "--label");
  refused({"--faces-per-video", "real=3,real=2"}, "real=N,fake=N");
  refused({"--sampling", "random"}, "max-stride, sequential or linspace");
  refused({"--crop", "round"}, "tight");
  refused({"--margin", "0.2"}, "--crop tight has none");
  refused({"--crop", "margin", "--margin", "5"}, "from 0 to 4");
  refused({"--jpeg-quality", "0"}, "from 1 to 100");
  refused({"--jpeg-quality", "90", "--png"}, "contradict");
  refused({"--min-score", "1.5"}, "from 0 to 1");
  refused({"--split-seed", "3"}, "--splits");
  refused({"--splits", "official"}, "split");
  refused({"--compression", "c23"}, "FaceForensics++");
  std::vector<std::string> words = program.words({"v"}, "out");
  const auto with = [&](const std::string& flag, const std::string& value) {
    std::vector<std::string> other = words;
    *(std::find(other.begin(), other.end(), flag) + 1) = value;
    return program.start(other)->wait();
  };
  expect_error(with("--detector", program / "absent.pth"), "absent.pth");
  expect_error(with("--detector", program / "weights.pth"), "weights.pth");
  expect_error(with("--out", program / "weights.pth"), "--out");
  words[1] = program / "absent";
  expect_error(program.start(words)->wait(), "absent");
  CHECK_FALSE(fs::exists(program / "out"));
  expect_error(program.start({"faces", program / "v", "--out", program / "out"})->wait(),
               "--detector");
  expect_error(program.start({"faces", "--out", program / "out"})->wait(), "INPUT");
}

TEST_CASE("an output that cannot be written") {
  const FacesProgram program;
  test::write_coarse_video(program.path() / "v", 1, 2);
  if (::geteuid() != 0) {
    fs::create_directories(program / "locked");
    ::chmod((program / "locked").c_str(), 0500);
    expect_error(program.run({"v"}, "locked/out", {"--label", "real"}), "nothing can be written");
    ::chmod((program / "locked").c_str(), 0700);
  }
  // A limit on the size of files stands for a full disc.
  std::vector<std::string> words = {"-c", "ulimit -f 1; exec \"$@\"", "sh", test::verace_program()};
  std::vector<std::string> command = program.words({"v"}, "out", {"--label", "real", "--png"});
  *(std::find(command.begin(), command.end(), "--size") + 1) = "96";
  words.insert(words.end(), command.begin(), command.end());
  const Finished finished = test::Process("/bin/sh", words, program.path()).wait();
  INFO(finished.err);
  CHECK(finished.code == 2);
  CHECK(contains(finished.err, "cannot be written"));
  CHECK_FALSE(fs::exists(program / "out/manifest.csv"));
}

TEST_CASE("interrupted: says how to go on") {
  const FacesProgram program;
  test::write_coarse_set(program.path() / "set", 40, 6);
  const std::vector<std::string> flags = {"--faces-per-video", "6", "--workers", "1"};
  const auto process = program.start(program.words({"set"}, "out", flags));
  while (!fs::exists(program / "out/videos/fake") || fs::is_empty(program / "out/videos/fake")) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  process->signal(SIGINT);
  const Finished finished = process->wait();
  INFO(finished.err);
  CHECK(finished.code == 128 + SIGINT);
  CHECK(contains(finished.err, "the same command goes on"));
  CHECK_FALSE(fs::exists(program / "out/manifest.csv"));
  const Finished rest = program.run({"set"}, "out", flags);
  CHECK(rest.code == 0);
  CHECK(contains(rest.out, "were done before"));
}

}  // namespace
}  // namespace verace::faces_test
