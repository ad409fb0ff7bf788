// The published RetinaFaces on photographs (VERACE_TEST_DATA) against PyTorch's detections; and
// what exchanged channels, a missing mean and a wrong slope do to them.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "apps/lib/face_detector.h"
#include "data/csv.h"
#include "data/image.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/files.h"
#include "weights/safetensors.h"
#include "weights/weight_file.h"

namespace verace::apps::face_detector_fullsize_test {
namespace {

namespace fs = std::filesystem;
using data::DetectedFace;
using data::Image;
using test::Verdict;

struct Published {
  const char *weights, *detections;
  double other_slope;
};
constexpr Published kPublished[] = {
    {"Final_Retinaface.pth", "detections_Final_Retinaface_relu.csv", 0.1},
    {"mobilenet0.25_Final.sglee487.pth", "detections_mobilenet0.25_Final.sglee487_leaky0.1.csv",
     0.0}};

// By name; empty without the test data, which is said once.
using Portraits = std::map<std::string, Image>;
const Portraits& portraits() {
  static const Portraits all = [] {
    Portraits read;
    const char* data = std::getenv("VERACE_TEST_DATA");
    if (data == nullptr) {
      std::printf("SKIPPED apps/face_detector: VERACE_TEST_DATA is not set\n");
      return read;
    }
    for (const auto& entry : fs::directory_iterator(fs::path(data) / "faces_cc0")) {
      if (entry.path().extension() != ".jpg") continue;
      read[entry.path().filename().string()] = data::read_image(entry.path());
    }
    REQUIRE(read.size() == 60);
    return read;
  }();
  return all;
}

fs::path folder() { return fs::path(std::getenv("VERACE_TEST_DATA")) / "retinaface_mobilenet025"; }

// PyTorch's faces by picture, the largest score first.
std::map<std::string, std::vector<DetectedFace>> expected(const Published& p) {
  std::map<std::string, std::vector<DetectedFace>> all;
  const fs::path path = folder() / "golden" / p.detections;
  const auto rows = data::parse_csv(test::read_text(path), path.string());
  for (size_t i = 1; i < rows.size(); ++i) {
    const std::vector<std::string>& f = rows[i].fields;
    REQUIRE(f.size() == 16);
    const auto number = [&](size_t at) { return std::stof(f[at]); };
    DetectedFace face;
    face.score = number(1);
    face.box = {number(2), number(3), number(4), number(5)};
    for (size_t k = 0; k < 5; ++k) face.landmarks[k] = {number(6 + 2 * k), number(7 + 2 * k)};
    all[f[0]].push_back(face);
  }
  for (auto& [name, faces] : all) {
    std::ranges::stable_sort(faces, std::ranges::greater{}, &DetectedFace::score);
  }
  return all;
}

double overlap(const data::FaceBox& a, const data::FaceBox& b) {
  const double w = std::max(0.0f, std::min(a.x2, b.x2) - std::max(a.x1, b.x1));
  const double h = std::max(0.0f, std::min(a.y2, b.y2) - std::max(a.y1, b.y1));
  const double both = w * h;
  return both / (double{a.width()} * a.height() + double{b.width()} * b.height() - both);
}

// The largest differences, over all faces of the pictures with as many faces as expected.
struct Differences {
  double overlap = 1, score = 0, landmark = 0;
  int64_t faces = 0, wrong_counts = 0;
};

Differences compare(const std::map<std::string, std::vector<DetectedFace>>& want,
                    const std::map<std::string, std::vector<DetectedFace>>& got) {
  Differences d;
  for (const auto& [name, faces] : want) {
    const std::vector<DetectedFace>& found = got.at(name);
    if (found.size() != faces.size()) {
      ++d.wrong_counts;
      continue;
    }
    for (size_t i = 0; i < faces.size(); ++i) {
      const DetectedFace &a = faces[i], &b = found[i];
      d.overlap = std::min(d.overlap, overlap(a.box, b.box));
      d.score = std::max(d.score, std::abs(double{a.score} - b.score));
      for (size_t k = 0; k < a.landmarks.size(); ++k) {
        d.landmark = std::max({d.landmark, std::abs(double{a.landmarks[k].x} - b.landmarks[k].x),
                               std::abs(double{a.landmarks[k].y} - b.landmarks[k].y)});
      }
      ++d.faces;
    }
  }
  return d;
}

Verdict judged_by_coordinates(const Differences& d) {
  Verdict v;
  v.require("boxes", d.overlap >= 0.98);
  v.require("scores", d.score <= 0.005);
  v.require("landmarks", d.landmark <= 1);
  return v;
}

Verdict judged(const Differences& d) {
  Verdict v = judged_by_coordinates(d);
  v.require("as many faces in each picture", d.wrong_counts == 0);
  v.require("faces in all pictures", d.faces >= 60);
  return v;
}

std::string text(const Differences& d) {
  return std::to_string(d.faces) + " faces, " + std::to_string(d.wrong_counts) +
         " pictures with another count; least overlap " + std::to_string(d.overlap) +
         ", largest difference of scores " + std::to_string(d.score) + ", of landmarks " +
         std::to_string(d.landmark) + " pixels";
}

std::map<std::string, std::vector<DetectedFace>> detect(
    const fs::path& weights, const FaceDetectorOptions& options,
    const std::function<void(Image&)>& change = [](Image&) {}) {
  const auto finder =
      open_face_detector(weights, kernels::make_exec(kernels::DeviceKind::kCpu, 2), options);
  std::vector<std::string> names;
  std::vector<Image> pictures;
  for (const auto& [name, picture] : portraits()) {
    names.push_back(name);
    pictures.push_back(picture);
    change(pictures.back());
  }
  const auto faces = finder->find(pictures);
  std::map<std::string, std::vector<DetectedFace>> by_name;
  for (size_t i = 0; i < names.size(); ++i) by_name[names[i]] = faces[i];
  return by_name;
}

TEST_CASE("both published files find PyTorch's faces in all portraits") {
  if (portraits().empty()) return;
  for (const Published& p : kPublished) {
    const Differences d = compare(expected(p), detect(folder() / p.weights, {}));
    MESSAGE(std::string(p.weights), ": ", text(d));
    test::expect_ok(p.weights, judged(d));
  }
}

TEST_CASE("what is published with the files is known: slope and anchors") {
  if (portraits().empty()) return;
  const kernels::Exec exec = kernels::make_exec(kernels::DeviceKind::kCpu, 1);
  const auto first = open_face_detector(folder() / kPublished[0].weights, exec);
  CHECK(test::contains(first->description(),
                       "RetinaFace (MobileNet-0.25), ReLU (published so), anchors from 16 pixels "
                       "(published so)"));
  const auto second = open_face_detector(folder() / kPublished[1].weights, exec);
  CHECK(test::contains(second->description(), "leaky ReLU 0.1 (published so)"));
}

// As if no mean were subtracted: conv(x) = conv(x - mean) + conv(mean), and the batch norm behind
// takes the second part up.
void write_without_mean(const fs::path& from, const std::string& to) {
  const weights::WeightFile file(from.string());
  std::vector<float> mean = file.read_f32("body.stage1.0.1.running_mean");
  const std::vector<float> w = file.read_f32("body.stage1.0.0.weight");  // [8, 3, 3, 3]
  const std::array<float, 3> bgr = {104, 117, 123};
  for (size_t i = 0; i < w.size(); ++i) mean[i / 27] -= w[i] * bgr[i % 27 / 9];
  std::vector<weights::TensorToWrite> tensors;
  for (const weights::TensorView& t : file.tensors()) {
    if (t.name.ends_with("num_batches_tracked")) continue;
    const bool changed = t.name == "body.stage1.0.1.running_mean";
    tensors.push_back(
        {t.name, t.shape, t.dtype, changed ? std::as_bytes(std::span(mean)) : t.bytes});
  }
  weights::write_safetensors(to, tensors, {});
}

TEST_CASE("exchanged channels, a missing mean and a wrong slope are caught") {
  if (portraits().empty()) return;
  const test::TempFolder scratch;
  for (const Published& p : kPublished) {
    const auto want = expected(p);
    const fs::path weights = folder() / p.weights;
    const auto caught = [&](const std::string& fault, const fs::path& file,
                            const FaceDetectorOptions& options,
                            const std::function<void(Image&)>& change) {
      const Differences d = compare(want, detect(file, options, change));
      MESSAGE(std::string(p.weights), ", ", fault, ": ", text(d));
      test::expect_caught(fault, judged(d));
      test::expect_caught(fault + ", by coordinates", judged_by_coordinates(d));
    };
    const auto nothing = [](Image&) {};
    caught("channels exchanged", weights, {}, [](Image& picture) {
      for (size_t i = 0; i < picture.rgb.size(); i += 3) {
        std::swap(picture.rgb[i], picture.rgb[i + 2]);
      }
    });
    FaceDetectorOptions other;
    other.slope = p.other_slope;
    caught("the other slope", weights, other, nothing);
    FaceDetectorOptions known;
    known.slope = 0.1 - p.other_slope;
    const std::string changed = scratch / "no_mean.safetensors";
    write_without_mean(weights, changed);
    caught("no mean", changed, known, nothing);
  }
}

}  // namespace
}  // namespace verace::apps::face_detector_fullsize_test
