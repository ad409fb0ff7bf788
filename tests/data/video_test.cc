// Reading videos: every codec that can be written here, order, times, rotation, colours; what is
// refused
#include <sys/resource.h>
#include <unistd.h>

#include <thread>

#include "tests/data/video_support.h"

namespace verace::data::testing::video_test {
namespace {

using video::EncoderOptions;

EncoderOptions with(const std::string& encoder, const std::string& container,
                    const std::string& pixel_format = "yuv420p") {
  EncoderOptions options;
  options.encoder = encoder;
  options.container = container;
  options.pixel_format = pixel_format;
  return options;
}

TEST_CASE("each codec: all frames, in the order in which they are shown") {
  if (!have_video("data/video_test")) return;
  struct Case {
    EncoderOptions options;
    std::string codec;
  };
  std::vector<Case> cases = {{with("libx264", "matroska"), "h264"},
                             {with("libx264", "mp4"), "h264"},
                             {with("libx264", "mpegts"), "h264"},
                             {with("libx264", "flv"), "h264"},
                             {with("libx265", "mp4"), "hevc"},
                             {with("libvpx-vp9", "webm"), "vp9"},
                             {with("libvpx", "webm"), "vp8"},
                             {with("libaom-av1", "mp4"), "av1"},
                             {with("mpeg4", "mp4"), "mpeg4"},
                             {with("mpeg4", "avi"), "mpeg4"},
                             {with("mpeg4", "mov"), "mpeg4"},
                             {with("mjpeg", "avi", "yuvj420p"), "mjpeg"},
                             {with("mpeg2video", "mpeg"), "mpeg2video"},
                             {with("gif", "gif", "rgb8"), "gif"}};
  for (Case& one : cases) {
    CAPTURE(one.options.encoder);
    CAPTURE(one.options.container);
    if (!video::library().has_encoder(one.options.encoder)) {
      std::printf("SKIPPED data/video_test [%s]: this FFmpeg has no such encoder\n",
                  one.options.encoder.c_str());
      continue;
    }
    // A key frame every eight frames, in H.264 and HEVC with frames before it that need the last
    // group; in VP8 and VP9 with frames that are not shown.
    one.options.more = {{"g", "8"}};
    if (one.options.encoder == "libx264")
      one.options.more = {{"x264-params", "keyint=8:open-gop=1"}};
    if (one.options.encoder == "libx265") {
      one.options.more = {{"x265-params", "log-level=none:keyint=8:open-gop=1"}};
    }
    if (one.options.encoder == "libaom-av1") one.options.more.emplace_back("cpu-used", "8");
    if (one.options.encoder.starts_with("libvpx")) {
      one.options.more = {{"g", "20"}, {"lag-in-frames", "16"}, {"auto-alt-ref", "1"}};
    }
    const TempFolder folder;
    const fs::path path = folder / "video";  // the name plays no role
    write_file(path, numbered_video(40, one.options));
    for (const int threads : {1, 3}) {
      const auto source = open_frames(path, threads);
      CHECK(contains(source->info().format, one.codec + " in "));
      CHECK(source->info().width == 64);
      CHECK(source->info().height == 48);
      CHECK(source->info().seconds == doctest::Approx(40 / 25.0).epsilon(0.03));
      check_complete(*source, 40);
    }
  }
}

TEST_CASE("times are those of the file, from the first frame on") {
  if (!have_video("data/video_test")) return;
  const TempFolder folder;
  EncoderOptions options = with("mpeg4", "matroska");
  options.ticks_per_second = 1000;
  const std::vector<int64_t> ticks = {500, 533, 570, 900, 2500, 2501};
  write_file(folder / "variable.mkv", numbered_video(6, options, ticks));
  const auto source = open_frames(folder / "variable.mkv");
  const std::vector<SeenFrame> frames = all_frames(*source);
  REQUIRE(frames.size() == 6);
  for (size_t k = 0; k < 6; ++k) {
    CHECK(frames[k].seconds ==
          doctest::Approx(static_cast<double>(ticks[k] - 500) / 1000).epsilon(1e-6));
    CHECK(frames[k].number == static_cast<int64_t>(k));
  }
  // A rate that is no whole number, and frames that are stored in another order.
  options = with(video::library().has_encoder("libx264") ? "libx264" : "mpeg4", "mp4");
  options.ticks_per_second = 30000.0 / 1001;
  options.more = {{"bf", "3"}};
  write_file(folder / "ntsc.mp4", numbered_video(30, options));
  const auto ntsc = open_frames(folder / "ntsc.mp4");
  const std::vector<SeenFrame> all = all_frames(*ntsc);
  REQUIRE(all.size() == 30);
  for (size_t k = 0; k < 30; ++k) {
    CHECK(std::abs(all[k].seconds - static_cast<double>(k) * 1001 / 30000) < 1e-3);
    CHECK(all[k].number == static_cast<int64_t>(k));
  }
}

// The stored picture that stands upright when it is turned by `orientation`, by EXIF's definition:
// which side of the upright picture the stored row 0 and column 0 are.
Image stored_for(const Image& upright, int orientation) {
  const bool turned = orientation >= 5;
  Image stored{
      turned ? upright.width : upright.height, turned ? upright.height : upright.width, {}};
  stored.rgb.resize(upright.rgb.size());
  const bool row_from_end =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool column_from_end =
      orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  for (int64_t row = 0; row < stored.height; ++row) {
    for (int64_t column = 0; column < stored.width; ++column) {
      int64_t y = turned ? column : row, x = turned ? row : column;
      if (turned ? column_from_end : row_from_end) y = upright.height - 1 - y;
      if (turned ? row_from_end : column_from_end) x = upright.width - 1 - x;
      for (int64_t c = 0; c < 3; ++c) {
        stored.rgb[static_cast<size_t>((row * stored.width + column) * 3 + c)] =
            upright.rgb[static_cast<size_t>((y * upright.width + x) * 3 + c)];
      }
    }
  }
  return stored;
}

TEST_CASE("rotation and mirroring of the display matrix") {
  if (!have_video("data/video_test")) return;
  const TempFolder folder;
  for (const char* container : {"mp4", "mov"}) {
    for (int orientation = 1; orientation <= 8; ++orientation) {
      CAPTURE(orientation);
      // EXIF: 6 says that row 0 is the right side and column 0 the top, 8 the opposite.
      const Image upright = numbered_image(77);
      const Image stored = stored_for(upright, orientation);
      EncoderOptions options = with("mpeg4", container);
      options.name = "test video";
      options.width = stored.width;
      options.height = stored.height;
      options.orientation = orientation;
      BytesSink sink;
      const auto encoder = video::library().encode(sink, options);
      encoder->add(stored, 0);
      encoder->finish();
      write_file(folder / "turned", sink.bytes());
      const auto source = open_frames(folder / "turned");
      CHECK(source->info().width == upright.width);
      CHECK(source->info().height == upright.height);
      REQUIRE(source->advance());
      const Image image = source->image();
      CHECK(image.width == upright.width);
      CHECK(image.height == upright.height);
      CHECK(number_of(image) == 77);
    }
  }
}

// QuickTime's own numbers, as telephones write them into a track's header: (x, y) of the stored
// frame is shown at (a*x + c*y, b*x + d*y); the file has a, b, 0, c, d, 0 in 16.16.
TEST_CASE("rotations as telephones write them") {
  if (!have_video("data/video_test")) return;
  using std::string_view_literals::operator""sv;
  const auto number = [](int value) {
    return value == 0 ? "\0\0\0\0"sv : value > 0 ? "\0\1\0\0"sv : "\xff\xff\0\0"sv;
  };
  const auto matrix = [&number](int a, int b, int c, int d) {
    std::string text;
    for (const int value : {a, b, 0, c, d, 0}) text += number(value);
    return text;
  };
  const TempFolder folder;
  const Image upright = numbered_image(77);
  struct Case {
    int orientation, a, b, c, d;
  };
  for (const Case& one : {Case{3, -1, 0, 0, -1}, Case{6, 0, 1, -1, 0}, Case{8, 0, -1, 1, 0}}) {
    CAPTURE(one.orientation);
    const Image stored = stored_for(upright, one.orientation);
    EncoderOptions options = with("mpeg4", "mov");
    options.name = "test video";
    options.width = stored.width;
    options.height = stored.height;
    BytesSink sink;
    const auto encoder = video::library().encode(sink, options);
    encoder->add(stored, 0);
    encoder->finish();
    std::string bytes(reinterpret_cast<const char*>(sink.bytes().data()), sink.bytes().size());
    const size_t at = bytes.find(matrix(1, 0, 0, 1), bytes.find("tkhd"));  // that of the track
    REQUIRE(at != std::string::npos);
    bytes.replace(at, 24, matrix(one.a, one.b, one.c, one.d));
    write_file(folder / "turned.mov", bytes);
    const auto source = open_frames(folder / "turned.mov");
    CHECK(source->info().width == upright.width);
    REQUIRE(source->advance());
    CHECK(number_of(source->image()) == 77);
  }
}

TEST_CASE("one frame; only asked-for frames are converted; the ends of jumps") {
  if (!have_video("data/video_test")) return;
  const TempFolder folder;
  write_file(folder / "one.mp4", numbered_video(1));
  const auto one = open_frames(folder / "one.mp4");
  check_complete(*one, 1);
  CHECK(one->seconds() == 0);

  write_file(folder / "long.mp4", numbered_video(40));
  const auto source = open_frames(folder / "long.mp4");
  REQUIRE(source->advance_to(17));
  CHECK(source->index() == 17);
  CHECK(number_of(source->image()) == 17);
  CHECK(number_of(source->image()) == 17);  // twice: the same
  REQUIRE(source->advance_to(39));
  CHECK(number_of(source->image()) == 39);
  CHECK(!source->advance_to(40));
}

TEST_CASE("frames that change their size") {
  if (!have_video("data/video_test")) return;
  const TempFolder folder;
  ByteVector bytes;
  for (int k = 0; k < 100; ++k) {
    const ByteVector one = encode_jpeg(k < 70 ? numbered_image(k) : numbered_image(k, 80, 160));
    bytes.insert(bytes.end(), one.begin(), one.end());
  }
  write_file(folder / "stream.mjpeg", bytes);
  const auto source = open_frames(folder / "stream.mjpeg");
  CHECK(source->info().width == 64);
  CHECK(source->info().height == 48);
  for (int64_t k = 0; k < 100; ++k) {
    REQUIRE(source->advance());
    const Image image = source->image();
    CHECK(image.width == (k < 70 ? 64 : 160));
    CHECK(image.height == (k < 70 ? 48 : 80));
    CHECK(number_of(image) == k);
  }
  CHECK(!source->advance());
}

TEST_CASE("several videos at once, each in a thread of its own") {
  if (!have_video("data/video_test")) return;
  const TempFolder folder;
  write_file(folder / "a.mp4", numbered_video(60));
  write_file(folder / "b.avi", numbered_video(60, with("mjpeg", "avi", "yuvj420p")));
  std::array<std::vector<SeenFrame>, 6> seen;
  {
    std::vector<std::jthread> threads;
    for (size_t i = 0; i < seen.size(); ++i) {
      threads.emplace_back([&, i] {
        const auto source = open_frames(folder / (i % 2 == 0 ? "a.mp4" : "b.avi"));
        while (source->advance()) {
          seen[i].push_back({source->index(), number_of(source->image()), source->seconds()});
        }
      });
    }
  }
  for (const std::vector<SeenFrame>& frames : seen) {
    REQUIRE(frames.size() == 60);
    for (size_t k = 0; k < 60; ++k) CHECK(frames[k].number == static_cast<int64_t>(k));
  }
}

TEST_CASE("odd sizes and an 8K frame") {
  if (!have_video("data/video_test")) return;
  const TempFolder folder;
  EncoderOptions odd = with("mpeg4", "mp4");
  odd.width = 75;
  odd.height = 53;
  write_file(folder / "odd", numbered_video(5, odd));
  const auto source = open_frames(folder / "odd");
  CHECK(source->info().width == 75);
  CHECK(source->info().height == 53);
  check_complete(*source, 5);

  EncoderOptions large = with("mjpeg", "avi", "yuvj420p");
  large.width = 7680;
  large.height = 4320;
  write_file(folder / "8k", numbered_video(1, large));
  const auto eight = open_frames(folder / "8k");
  CHECK(eight->info().width == 7680);
  CHECK(eight->info().height == 4320);
  REQUIRE(eight->advance());
  CHECK(number_of(eight->image()) == 0);
}

// Replaces each `from` by `to`; returns how many.
int64_t replace_bytes(ByteVector& bytes, std::string_view from, std::string_view to) {
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  int64_t count = 0;
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
    ++count;
  }
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  bytes.assign(begin, begin + text.size());
  return count;
}

TEST_CASE("frames larger than pictures may be are refused before memory is taken") {
  if (!have_video("data/video_test")) return;
  using std::string_view_literals::operator""sv;
  const TempFolder folder;
  const auto error_of = [&folder](const char* name, const ByteVector& bytes) {
    write_file(folder / name, bytes);
    return input_error([&, file = folder / name] {
      const auto source = open_frames(file);
      while (source->advance()) (void)source->image();
    });
  };
  rusage before{}, after{};
  REQUIRE(getrusage(RUSAGE_SELF, &before) == 0);
  // 16000x15000 in the container's header (0xB0: width, 0xBA: height, then the numbers' sizes).
  ByteVector raw = numbered_video(2, with("rawvideo", "matroska"));
  REQUIRE(replace_bytes(raw, "\xB0\x81\x40"sv, "\xB0\x82\x3E\x80"sv) == 1);
  REQUIRE(replace_bytes(raw, "\xBA\x81\x30"sv, "\xBA\x82\x3A\x98"sv) == 1);
  CHECK(contains(error_of("raw.mkv", raw), "16000x15000 pixels are more than"));
  // Later frames that are larger than the first: JPEG pictures, one behind the other.
  ByteVector jpeg;
  for (int k = 0; k < 80; ++k) {
    const ByteVector one = encode_jpeg(k < 78 ? numbered_image(k) : numbered_image(k, 16, 17000));
    jpeg.insert(jpeg.end(), one.begin(), one.end());
  }
  CHECK(contains(error_of("stream.mjpeg", jpeg), "17000x16 pixels are more than"));
  // Frames that themselves claim more: their decoder would fill them from nothing.
  if (video::library().has_encoder("libvpx")) {
    ByteVector vp8 = numbered_video(2, with("libvpx", "webm"));
    REQUIRE(replace_bytes(vp8, "\x9d\x01\x2a\x40\x00\x30\x00"sv,
                          "\x9d\x01\x2a\x80\x3e\x98\x3a"sv) >= 1);
    CHECK(contains(error_of("vp8.webm", vp8), "vp8.webm: none of its 2 frames can be decoded"));
  } else {
    std::printf("SKIPPED data/video_test [libvpx]: this FFmpeg has no such encoder\n");
  }
  REQUIRE(getrusage(RUSAGE_SELF, &after) == 0);
  CHECK(after.ru_maxrss - before.ru_maxrss < 100 * 1024);  // KiB; the frames would need 360 MB
}

// BT.601 and BT.709 in double, from the standards.
struct Matrix {
  double red, blue;  // Kr, Kb
};

std::array<double, 3> to_yuv(const std::array<double, 3>& rgb, Matrix m, bool full) {
  const double y = m.red * rgb[0] + (1 - m.red - m.blue) * rgb[1] + m.blue * rgb[2];
  const double scale = full ? 1.0 : 224.0 / 255;
  return {full ? y : 16 + y * 219 / 255, 128 + (rgb[2] - y) / (2 * (1 - m.blue)) * scale,
          128 + (rgb[0] - y) / (2 * (1 - m.red)) * scale};
}

std::array<double, 3> to_rgb(const std::array<double, 3>& yuv, Matrix m, bool full) {
  const double y = full ? yuv[0] : (yuv[0] - 16) * 255 / 219;
  const double scale = full ? 1.0 : 255.0 / 224;
  const double blue = y + (yuv[1] - 128) * scale * 2 * (1 - m.blue);
  const double red = y + (yuv[2] - 128) * scale * 2 * (1 - m.red);
  const double green = (y - m.red * red - m.blue * blue) / (1 - m.red - m.blue);
  return {std::clamp(red, 0.0, 255.0), std::clamp(green, 0.0, 255.0), std::clamp(blue, 0.0, 255.0)};
}

TEST_CASE("colours by the matrix and the range that the video names") {
  if (!have_video("data/video_test")) return;
  if (!video::library().has_encoder("ffv1")) {
    std::printf("SKIPPED data/video_test: this FFmpeg has no ffv1\n");
    return;
  }
  constexpr Matrix k601 = {0.299, 0.114}, k709 = {0.2126, 0.0722};
  const TempFolder folder;
  const std::vector<std::array<double, 3>> colours = {
      {255, 255, 255}, {0, 0, 0},       {200, 40, 60}, {20, 180, 90},
      {40, 70, 210},   {128, 128, 128}, {240, 200, 20}};
  struct Case {
    const char *matrix, *range;
    Matrix read;
    bool full;
  };
  // The encoder writes by BT.601 in the named range, whatever matrix the file names.
  for (const Case& one : std::vector<Case>{{"smpte170m", "tv", k601, false},
                                           {"bt709", "tv", k709, false},
                                           {"unknown", "tv", k601, false},
                                           {"smpte170m", "pc", k601, true},
                                           {"bt709", "pc", k709, true}}) {
    CAPTURE(one.matrix);
    CAPTURE(one.range);
    EncoderOptions options = with("ffv1", "matroska", "yuv444p");
    options.name = "test video";
    options.width = options.height = 32;
    options.more = {{"colorspace", one.matrix}, {"color_range", one.range}};
    BytesSink sink;
    const auto encoder = video::library().encode(sink, options);
    for (size_t k = 0; k < colours.size(); ++k) {
      Image image{32, 32, {}};
      for (int i = 0; i < 32 * 32; ++i) {
        for (const double c : colours[k]) image.rgb.push_back(static_cast<uint8_t>(c));
      }
      encoder->add(image, static_cast<int64_t>(k));
    }
    encoder->finish();
    write_file(folder / "colours.mkv", sink.bytes());
    const auto source = open_frames(folder / "colours.mkv");
    for (const std::array<double, 3>& colour : colours) {
      REQUIRE(source->advance());
      const Image image = source->image();
      const std::array<double, 3> expected =
          to_rgb(to_yuv(colour, k601, one.full), one.read, one.full);
      for (int c = 0; c < 3; ++c) {
        // YUV is rounded to whole numbers: up to 0.5 * (1.16 + 1.6) levels of green, and swscale's
        // own rounding.
        CHECK(std::abs(mean_of(image, c, 0, 0, 1, 1) - expected[static_cast<size_t>(c)]) < 2.5);
      }
    }
  }
}

TEST_CASE("what is not a video is refused in one line that names the file") {
  if (!have_video("data/video_test")) return;
  const TempFolder folder;
  const auto error_of = [&folder](const char* name, const std::string& content) {
    write_file(folder / name, content);
    const std::string error = input_error([&] {
      const auto source = open_frames(folder / name);
      while (source->advance()) (void)source->image();
    });
    CHECK(contains(error, (folder / name).string() + ": "));
    CHECK(error.find('\n') == std::string::npos);
    return error;
  };
  CHECK(contains(error_of("text.mp4", "this is no video\n"), "is not a video that can be read"));
  CHECK(contains(error_of("zeros.mp4", std::string(100'000, '\0')), "is not a video"));
  CHECK(contains(error_of("sound.wav", wav()), "has no video stream (found audio)"));
  const ByteVector picture = encode_png(numbered_image(1));
  CHECK(contains(
      error_of("picture.mp4", {reinterpret_cast<const char*>(picture.data()), picture.size()}),
      "is not a video"));
  // Without its index, which stands at the end, nothing of an MP4 can be found.
  const ByteVector whole = numbered_video(30);
  CHECK(
      contains(error_of("cut.mp4", {reinterpret_cast<const char*>(whole.data()), whole.size() / 2}),
               "cut off"));
}

TEST_CASE("playlists open nothing") {
  if (!have_video("data/video_test")) return;
  const TempFolder folder;
  write_file(folder / "video.ts", numbered_video(10, with("mpeg4", "mpegts")));
  REQUIRE(open_frames(folder / "video.ts")->advance());  // what the lists name is there
  const std::string video = (folder / "video.ts").string();
  const std::vector<std::pair<std::string, std::string>> lists = {
      {"list.m3u8",
       "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n" + video + "\n#EXT-X-ENDLIST\n"},
      {"relative.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nvideo.ts\n#EXT-X-ENDLIST\n"},
      {"list.ffconcat", "ffconcat version 1.0\nfile " + video + "\n"},
      {"list.sdp",
       "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
       "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"},
      {"list.mpd",
       "<?xml version=\"1.0\"?><MPD type=\"static\"><Period><AdaptationSet>"
       "<Representation><BaseURL>" +
           video +
           "</BaseURL></Representation>"
           "</AdaptationSet></Period></MPD>"}};
  for (const auto& [name, content] : lists) {
    CAPTURE(name);
    write_file(folder / name, content);
    CHECK(contains(input_error([&, file = folder / name] { open_frames(file); }), "not a video"));
  }
}

TEST_CASE("no permission") {
  if (!have_video("data/video_test")) return;
  const TempFolder folder;
  write_file(folder / "secret.mp4", numbered_video(1));
  fs::permissions(folder / "secret.mp4", fs::perms::none);
  fs::permissions(folder.path(), fs::perms::all);
  const bool root = ::geteuid() == 0;  // who may read everything: for once as somebody else
  if (root && ::seteuid(65534) != 0) {
    std::printf("SKIPPED data/video_test: root may read everything\n");
    return;
  }
  const std::string error = input_error([&] { open_frames(folder / "secret.mp4"); });
  if (root) REQUIRE(::seteuid(0) == 0);
  CHECK(contains(error, "secret.mp4: cannot be opened (Permission denied)"));
}

}  // namespace
}  // namespace verace::data::testing::video_test
