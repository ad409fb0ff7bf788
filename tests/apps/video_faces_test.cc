// The faces of one video: which frames are looked at, and the account of what is missing.
#include "apps/lib/video_faces.h"

#include <cmath>
#include <numeric>

#include "tests/apps/face_frames.h"

namespace verace::apps::video_faces_test {
namespace {

using test::PlantedFinder;
using test::TempFolder;
using test::write_frames;

std::vector<int64_t> frames_of(const VideoFaces& found) {
  std::vector<int64_t> frames;
  for (const FoundFace& face : found.faces) frames.push_back(face.frame);
  return frames;
}

VideoFacesOptions wanting(int64_t frames, data::Sampling sampling = data::Sampling::kMaxStride) {
  VideoFacesOptions options;
  options.frames = frames;
  options.sampling = sampling;
  options.crop.size = 16;
  return options;
}

using Frames = std::vector<int64_t>;

TEST_CASE("the chosen frames are looked at, in order, and no others") {
  const TempFolder folder;
  write_frames(folder / "v", std::vector<int>(10, 1));
  for (const auto& [sampling, expected] : std::vector<std::pair<data::Sampling, std::vector<int>>>{
           {data::Sampling::kMaxStride, {0, 2, 4, 6}},
           {data::Sampling::kSequential, {0, 1, 2, 3}},
           {data::Sampling::kLinspace, {0, 3, 6, 9}}}) {
    for (const int64_t batch : {1, 3, 8}) {
      PlantedFinder finder;
      VideoFacesOptions options = wanting(4, sampling);
      options.batch = batch;
      const VideoFaces found = find_video_faces(folder / "v", finder, options);
      CHECK(finder.marks == expected);
      CHECK(finder.most_at_once <= static_cast<size_t>(batch));
      CHECK(frames_of(found) == Frames(expected.begin(), expected.end()));
      CHECK(found.readable);
      CHECK(found.shortfall == "");
      CHECK(found.damage == "");
      CHECK(found.frames_in_video == 10);
      CHECK(found.frames_looked_at == 4);
      CHECK(found.frames_with_faces == 4);
    }
  }
}

TEST_CASE("the largest face of a frame, or all of them, the largest first") {
  const TempFolder folder;
  write_frames(folder / "v", {3, 1});
  PlantedFinder finder;
  VideoFacesOptions options = wanting(2);
  const VideoFaces largest = find_video_faces(folder / "v", finder, options);
  REQUIRE(largest.faces.size() == 2);
  CHECK(largest.faces[0].in_frame.box.x1 == test::planted_face(2).box.x1);
  options.all_faces = true;
  const VideoFaces all = find_video_faces(folder / "v", finder, options);
  REQUIRE(all.faces.size() == 4);
  for (int i = 0; i < 3; ++i) {
    CHECK(all.faces[static_cast<size_t>(i)].place == i);
    CHECK(all.faces[static_cast<size_t>(i)].in_frame.box.x1 == test::planted_face(2 - i).box.x1);
  }
  CHECK(all.faces[3].frame == 1);
  CHECK(all.frames_with_faces == 2);
  // The crop is crop_face()'s.
  const data::FaceCrop expected =
      data::crop_face(test::frame_with_faces(3, 0), test::planted_face(2), options.crop);
  CHECK(all.faces[0].crop.image.rgb == expected.image.rgb);
  CHECK(all.faces[0].crop.face.landmarks[0].x == expected.face.landmarks[0].x);
}

TEST_CASE("two hundred faces in a frame") {
  const TempFolder folder;
  write_frames(folder / "v", {200});
  PlantedFinder finder;
  VideoFacesOptions options = wanting(1);
  options.all_faces = true;
  int64_t given = 0;
  const VideoFaces found =
      find_video_faces(folder / "v", finder, options, [&given](FoundFace& face) {
        ++given;
        face.crop.image = {};
      });
  CHECK(found.faces.size() == 200);
  CHECK(given == 200);
  CHECK(found.faces[7].crop.image.rgb.empty());
}

TEST_CASE("shortfalls say why") {
  const TempFolder folder;
  PlantedFinder finder;
  const auto shortfall = [&](const std::vector<int>& faces, int64_t wanted) {
    static int number = 0;
    const auto path = folder / text::format("v{}", number++);
    write_frames(path, faces);
    return find_video_faces(path, finder, wanting(wanted)).shortfall;
  };
  CHECK(shortfall({1, 1, 1}, 3) == "");
  CHECK(shortfall({1}, 10) == "the video has 1 of 10 frames");
  CHECK(shortfall({1, 0, 1, 1, 0, 1}, 6) == "no face in 2 of 6 frames");
  CHECK(shortfall({1, 0, 1}, 6) == "the video has 3 of 6 frames; no face in 1 of 3 frames");
  CHECK(shortfall(std::vector<int>(32, 0), 32) == "no face found in 32 frames");
  CHECK(shortfall({0}, 1) == "no face found in 1 frame");
  CHECK(shortfall({0}, 4) == "the video has 1 of 4 frames; no face found in 1 frame");
}

TEST_CASE("broken frames are left out and named, and the rest is looked at") {
  const TempFolder folder;
  write_frames(folder / "v", {1, 1, 1, 1});
  test::write_text(folder / "v" / "1.png", "no picture");
  PlantedFinder finder;
  const VideoFaces found = find_video_faces(folder / "v", finder, wanting(4));
  CHECK(found.readable);
  CHECK(frames_of(found) == Frames{0, 2, 3});
  CHECK(found.frames_looked_at == 3);
  CHECK(found.damage.find("1.png") != std::string::npos);
  CHECK(found.shortfall == "1 of 4 frames could not be decoded");
}

TEST_CASE("what cannot be read is in the result, with the file's name") {
  const TempFolder folder;
  PlantedFinder finder;
  test::write_text(folder / "empty.mp4", "");
  test::write_text(folder / "text.mp4", "this is not a video\n");
  std::filesystem::create_directories(folder / "nothing");
  write_frames(folder / "broken", {1});
  test::write_text(folder / "broken" / "0.png", "\x89PNG\r\n\x1a\nbut no more");
  test::write_text(folder / "cut.png", "\x89PNG\r\n\x1a\nbut no more");
  for (const char* name : {"absent.mp4", "empty.mp4", "text.mp4", "nothing", "broken", "cut.png"}) {
    CAPTURE(std::string(name));
    const VideoFaces found = find_video_faces(folder / name, finder, wanting(3));
    CHECK_FALSE(found.readable);
    CHECK(found.faces.empty());
    CHECK(found.frames_looked_at == 0);
    CHECK(test::contains(found.shortfall, name));
    CHECK(found.shortfall.find('\n') == std::string::npos);
  }
  CHECK(finder.marks.empty());
}

TEST_CASE("a picture is a video of one frame, whatever its name") {
  const TempFolder folder;
  data::write_png(folder / "face.dat", test::frame_with_faces(2, 5));
  PlantedFinder finder;
  const VideoFaces found = find_video_faces(folder / "face.dat", finder, wanting(1));
  CHECK(found.readable);
  CHECK(finder.marks == std::vector<int>{5});
  CHECK(found.faces.size() == 1);
  CHECK(found.frames_in_video == 1);
}

TEST_CASE("filling: further frames in place of those without a face, until there are enough") {
  const TempFolder folder;
  // Of 16 frames every fourth is chosen, and only odd ones have faces.
  std::vector<int> odd(16);
  for (size_t i = 0; i < odd.size(); ++i) odd[i] = static_cast<int>(i % 2);
  write_frames(folder / "odd", odd);
  VideoFacesOptions options = wanting(4);
  for (const int64_t batch : {1, 2, 8}) {
    options.batch = batch;
    PlantedFinder none;
    options.fill = false;
    CHECK(find_video_faces(folder / "odd", none, options).shortfall == "no face found in 4 frames");
    PlantedFinder finder;
    options.fill = true;
    const VideoFaces found = find_video_faces(folder / "odd", finder, options);
    // 0 4 8 12, then those between (2 6 10 14), then those between again, from the first on.
    CHECK(finder.marks == std::vector<int>{0, 4, 8, 12, 2, 6, 10, 14, 1, 3, 5, 7});
    CHECK(frames_of(found) == Frames{1, 3, 5, 7});
    CHECK(found.without_face == Frames{0, 2, 4, 6, 8, 10, 12, 14});
    CHECK(found.shortfall == "");
  }
  write_frames(folder / "none", std::vector<int>(40, 0));
  PlantedFinder finder;
  const VideoFaces found = find_video_faces(folder / "none", finder, options);
  CHECK(finder.marks.size() == 40);  // 64 at most, each once
  CHECK(found.shortfall == "no face found in 40 frames");
}

TEST_CASE("faces without a crop are none: numbers that are not finite, landmarks in one place") {
  class Wild : public FaceFinder {
   public:
    std::vector<std::vector<data::DetectedFace>> find(
        std::span<const data::Image> pictures) override {
      std::vector<data::DetectedFace> faces(4, test::planted_face(3));
      faces[0].box.x2 = std::nanf("");
      faces[1].landmarks[2].y = INFINITY;
      faces[2].box = {-1e30F, -1e30F, 1e30F, 1e30F};
      faces[3].landmarks.fill({20, 20});
      return {pictures.size(), faces};
    }
    std::string description() const override { return "wild"; }
  };
  const TempFolder folder;
  write_frames(folder / "v", {0});
  Wild finder;
  VideoFacesOptions options = wanting(1);
  options.all_faces = true;
  for (const data::CropKind kind : {data::CropKind::kTight, data::CropKind::kMargin,
                                    data::CropKind::kSquare, data::CropKind::kEyeAngle}) {
    options.crop.kind = kind;
    CHECK(find_video_faces(folder / "v", finder, options).faces.size() == 1);
  }
  options.crop.kind = data::CropKind::kAligned;
  CHECK(find_video_faces(folder / "v", finder, options).faces.empty());
}

TEST_CASE("what the detector and the sink throw passes through") {
  class Failing : public FaceFinder {
   public:
    std::vector<std::vector<data::DetectedFace>> find(std::span<const data::Image>) override {
      fail_input("the detector has failed");
    }
    std::string description() const override { return "failing"; }
  };
  const TempFolder folder;
  write_frames(folder / "v", {1});
  Failing failing;
  CHECK_THROWS_WITH(find_video_faces(folder / "v", failing, wanting(1)), "the detector has failed");
  PlantedFinder finder;
  CHECK_THROWS_WITH(
      find_video_faces(folder / "v", finder, wanting(1), [](FoundFace&) { fail_input("no room"); }),
      "no room");
}

}  // namespace
}  // namespace verace::apps::video_faces_test
