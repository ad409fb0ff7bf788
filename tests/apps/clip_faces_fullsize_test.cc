// The published detector on the clips of VERACE_TEST_DATA: the faces that PyTorch finds in the same
// frames (tests/goldens/make_clip_faces.py), and an account of each frame.
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <set>

#include "apps/lib/video_faces.h"
#include "data/csv.h"
#include "data/face_geometry.h"
#include "tests/support/faults.h"
#include "tests/support/files.h"

namespace verace::apps::clip_faces_fullsize_test {
namespace {

namespace fs = std::filesystem;
using data::DetectedFace;
using test::Verdict;

constexpr double kScore = 0.9;    // of `verace faces`
constexpr double kNarrow = 0.02;  // scores nearer to it than this may fall on either side
constexpr double kOverlap = 0.7;  // the demanded one
const std::string kWalking = "one-by-one-person-detection.mp4";

// What PyTorch has found in one clip.
struct Golden {
  int64_t frames = 0;
  std::map<int64_t, std::vector<DetectedFace>> faces;  // of every frame that was looked at
};

std::map<std::string, Golden> goldens() {
  const fs::path path = fs::path(VERACE_GOLDENS) / "clip_faces.csv";
  std::map<std::string, Golden> clips;
  const auto rows = data::parse_csv(test::read_text(path), path.string());
  for (size_t i = 1; i < rows.size(); ++i) {
    const std::vector<std::string>& f = rows[i].fields;
    Golden& clip = clips[f[0]];
    clip.frames = std::stoll(f[1]);
    std::vector<DetectedFace>& faces = clip.faces[std::stoll(f[2])];
    if (f[3].empty()) continue;
    DetectedFace face;
    face.score = std::stof(f[3]);
    face.box = {std::stof(f[4]), std::stof(f[5]), std::stof(f[6]), std::stof(f[7])};
    faces.push_back(face);
  }
  return clips;
}

bool runs() {
  const char* data = std::getenv("VERACE_TEST_DATA");
  if (data == nullptr) {
    std::printf("SKIPPED apps/clip_faces_fullsize_test: VERACE_TEST_DATA is not set\n");
    return false;
  }
#ifndef VERACE_HAVE_VIDEO
  std::printf("SKIPPED apps/clip_faces_fullsize_test: this build has no FFmpeg\n");
  return false;
#else
  return true;
#endif
}

fs::path data_folder() { return std::getenv("VERACE_TEST_DATA"); }

FaceFinder& detector() {
  static const std::unique_ptr<FaceFinder> opened = [] {
    FaceDetectorOptions options;
    options.score_threshold = kScore;
    return open_face_detector(data_folder() / "retinaface_mobilenet025/Final_Retinaface.pth", {},
                              options);
  }();
  return *opened;
}

VideoFaces search(const std::string& clip, int64_t frames) {
  VideoFacesOptions options;
  options.frames = frames;
  options.all_faces = true;
  return find_video_faces(data_folder() / "videos_ccby4" / clip, detector(), options);
}

// Every face that PyTorch is sure of is found with an overlap of kOverlap, and no other.
Verdict judged(const Golden& golden, const VideoFaces& found) {
  Verdict verdict;
  std::map<int64_t, std::vector<const FoundFace*>> by_frame;
  for (const FoundFace& face : found.faces) by_frame[face.frame].push_back(&face);
  std::set<int64_t> accounted(found.without_face.begin(), found.without_face.end());
  for (const auto& [frame, faces] : by_frame) accounted.insert(frame);
  std::set<int64_t> looked_at;
  for (const auto& [frame, faces] : golden.faces) looked_at.insert(frame);
  verdict.require("frames", accounted == looked_at);
  bool all_found = true, none_invented = true;
  const auto overlaps = [](const DetectedFace& a, const DetectedFace& b) {
    return data::intersection_over_union(a.box, b.box) >= kOverlap;
  };
  for (const auto& [frame, faces] : golden.faces) {
    for (const DetectedFace& face : faces) {
      if (face.score < kScore + kNarrow) continue;
      all_found &= std::ranges::any_of(
          by_frame[frame], [&](const FoundFace* other) { return overlaps(face, other->in_frame); });
    }
    for (const FoundFace* face : by_frame[frame]) {
      none_invented &= std::ranges::any_of(faces, [&](const DetectedFace& other) {
        return overlaps(other, face->in_frame) && other.score >= kScore - kNarrow;
      });
    }
  }
  verdict.require("found", all_found);
  verdict.require("invented", none_invented);
  return verdict;
}

TEST_CASE(
    "clips of a person facing the camera: the asked number of faces, where PyTorch has them") {
  if (!runs()) return;
  int64_t clips = 0;
  for (const auto& [name, golden] : goldens()) {
    if (name == kWalking) continue;
    CAPTURE(name);
    ++clips;
    const VideoFaces found = search(name, 10);
    CHECK(found.readable);
    CHECK(found.frames_in_video == golden.frames);
    CHECK(found.frames_with_faces == 10);
    CHECK(found.shortfall == "");
    CHECK(found.damage == "");
    test::expect_ok("faces", judged(golden, found));
    // Planted: boxes that are a third beside, x and y swapped, another frame, one face too few, one
    // that nobody sees.
    const auto fails = [&](const char* what, const std::function<void(VideoFaces&)>& plant) {
      VideoFaces planted = found;
      plant(planted);
      test::expect_caught(what, judged(golden, planted));
    };
    fails("beside", [](VideoFaces& v) {
      data::FaceBox& box = v.faces[3].in_frame.box;
      const float third = box.width() / 3;
      box.x1 += third;
      box.x2 += third;
    });
    fails("swapped", [](VideoFaces& v) {
      data::FaceBox& box = v.faces[3].in_frame.box;
      box = {box.y1, box.x1, box.y2, box.x2};
    });
    fails("frame", [](VideoFaces& v) { ++v.faces[4].frame; });
    fails("missing", [](VideoFaces& v) { v.faces.erase(v.faces.begin() + 2); });
    fails("invented", [](VideoFaces& v) {
      v.faces.push_back(v.faces[0]);
      v.faces.back().in_frame.box = {1, 1, 40, 50};
    });
  }
  CHECK(clips == 14);
}

TEST_CASE("people walking by: every frame that was looked at is accounted for") {
  if (!runs()) return;
  const Golden golden = goldens()[kWalking];
  const VideoFaces found = search(kWalking, 350);
  CHECK(found.frames_in_video == 1394);
  CHECK(found.frames_looked_at == 350);
  CHECK(static_cast<int64_t>(found.without_face.size()) + found.frames_with_faces == 350);
  test::expect_ok("faces", judged(golden, found));
  MESSAGE(found.frames_with_faces, " of 350 frames with a face; ", found.shortfall);
}

}  // namespace
}  // namespace verace::apps::clip_faces_fullsize_test
