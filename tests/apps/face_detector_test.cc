// The face detector with narrow random weights against PyTorch's and numpy's faces
// (tests/goldens/make_retinaface.py), and what it refuses.
#include "apps/lib/face_detector.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "data/resample.h"
#include "kernels/check.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/files.h"
#include "tests/support/golden_network.h"
#include "weights/safetensors.h"
#include "weights/weight_file.h"

namespace verace::apps::face_detector_test {
namespace {

using data::DetectedFace;
using data::Image;
using kernels::DeviceKind;
using kernels::make_exec;
using test::Verdict;
using weights::WeightFile;

constexpr int64_t kHeight = 61, kWidth = 83;
const std::string kFiles[] = {"retinaface_mobilenet_narrow.safetensors",
                              "retinaface_resnet50_narrow.safetensors"};

std::vector<Image> pictures_in(const std::string& file) {
  const std::vector<float> values = WeightFile(test::golden_path(file)).read_f32("pictures");
  std::vector<Image> pictures;
  for (const float* from : {values.data(), values.data() + values.size() / 2}) {
    pictures.push_back({kHeight, kWidth, {from, from + values.size() / 2}});
  }
  return pictures;
}

FaceDetectorOptions golden_options(double slope) {
  FaceDetectorOptions options;
  options.score_threshold = 0.6;
  options.slope = slope;
  return options;
}

std::vector<float> numbers(const DetectedFace& f) {
  std::vector<float> all = {f.score, f.box.x1, f.box.y1, f.box.x2, f.box.y2};
  for (const data::ImagePoint& point : f.landmarks) all.insert(all.end(), {point.x, point.y});
  return all;
}

// 2e-4 of a score and of a pixel per hundred: rounding of fp32 through the layers, times the
// anchors' sizes (512 pixels).
Verdict check(const std::vector<std::vector<DetectedFace>>& got, const std::string& file,
              double slope) {
  const WeightFile golden(test::golden_path(file));
  Verdict v;
  v.require("two pictures", got.size() == 2);
  for (size_t picture = 0; picture < got.size() && picture < 2; ++picture) {
    const std::string name =
        (slope == 0 ? "slope0.faces." : "slope0.1.faces.") + std::to_string(picture);
    const std::vector<float> want = golden.read_f32(name);
    std::vector<float> all;
    for (const DetectedFace& face : got[picture]) {
      const std::vector<float> one = numbers(face);
      all.insert(all.end(), one.begin(), one.end());
    }
    v.require(name, test::compare(std::span<const float>(all), std::span<const float>(want),
                                  {2e-2, 2e-4, "fp32 rounding times anchors of 512 pixels"}));
  }
  return v;
}

Verdict run(
    const std::string& file, double slope, const FaceDetectorOptions& options,
    DeviceKind device = DeviceKind::kCpu,
    const std::function<void(Image&)>& change = [](Image&) {}) {
  const auto finder = open_face_detector(test::golden_path(file), make_exec(device, 2), options);
  std::vector<Image> pictures = pictures_in(file);
  for (Image& picture : pictures) change(picture);
  return check(finder->find(pictures), file, slope);
}

TEST_CASE("faces of random networks are those of PyTorch and numpy") {
  for (const std::string& file : kFiles) {
    for (const double slope : {0.0, 0.1}) {
      for (const DeviceKind device : {DeviceKind::kCpu, DeviceKind::kReference}) {
        test::expect_ok(file, run(file, slope, golden_options(slope), device));
      }
      FaceDetectorOptions one_by_one = golden_options(slope);
      one_by_one.batch = 1;
      test::expect_ok(file + ", one by one", run(file, slope, one_by_one));
    }
  }
}

TEST_CASE("planted faults in the detector are caught") {
  for (const std::string& file : kFiles) {
    const auto caught = [&](
                            const std::string& fault, const FaceDetectorOptions& options,
                            const std::function<void(Image&)>& change = [](Image&) {}) {
      test::expect_caught(file + ": " + fault, run(file, 0.1, options, DeviceKind::kCpu, change));
    };
    const FaceDetectorOptions good = golden_options(0.1);
    caught("ReLU", golden_options(0.0));
    caught("RGB", good, [](Image& i) {
      for (size_t at = 0; at < i.rgb.size(); at += 3) std::swap(i.rgb[at], i.rgb[at + 2]);
    });
    caught("mirrored", good, [](Image& i) { std::ranges::reverse(i.rgb); });
    FaceDetectorOptions other = good;
    other.nms_threshold = 0.3;
    caught("another overlap", other);
    other = good;
    other.score_threshold = 0.7;
    caught("another score", other);
    other = good;
    other.long_side = 80;
    caught("smaller pictures", other);
  }
}

TEST_CASE("pictures of several sizes in one call, as each alone") {
  const std::string& file = kFiles[0];
  FaceDetectorOptions options = golden_options(0.1);
  options.batch = 2;
  const auto finder =
      open_face_detector(test::golden_path(file), make_exec(DeviceKind::kCpu, 1), options);
  std::vector<Image> pictures = pictures_in(file);
  for (int i = 0; i < 6; ++i) {
    const data::Image& from = pictures[static_cast<size_t>(i % 2)];
    pictures.push_back(data::resize(from, 30 + 9 * (i / 2), 40, data::ResizeFilter::kBilinear));
  }
  pictures.push_back(pictures[1]);
  const auto together = finder->find(pictures);
  REQUIRE(together.size() == pictures.size());
  size_t faces = 0;
  for (size_t i = 0; i < pictures.size(); ++i) {
    const auto alone = finder->find(std::span(&pictures[i], 1));
    REQUIRE(alone[0].size() == together[i].size());
    faces += alone[0].size();
    for (size_t k = 0; k < alone[0].size(); ++k) {
      const std::vector<float> a = numbers(alone[0][k]), b = numbers(together[i][k]);
      CHECK(test::compare(std::span<const float>(a), std::span<const float>(b),
                          {2e-2, 2e-4, "another batch may have another order of sums"})
                .ok);
    }
  }
  CHECK(faces > 20);
  CHECK(finder->find({}).empty());
}

TEST_CASE("large pictures are looked at in the size that was asked for") {
  const std::string& file = kFiles[0];
  FaceDetectorOptions options = golden_options(0.1);
  options.long_side = kWidth;
  const kernels::Exec exec = make_exec(DeviceKind::kCpu, 1);
  const auto limited = open_face_detector(test::golden_path(file), exec, options);
  options.long_side = 0;
  const auto free = open_face_detector(test::golden_path(file), exec, options);
  const Image small = pictures_in(file)[0];
  // Three times the size without new detail: what is seen is about the picture itself.
  const Image large = data::resize(small, 3 * kHeight, 3 * kWidth, data::ResizeFilter::kBilinear);
  const Image back = data::resize(large, kHeight, kWidth, data::ResizeFilter::kBilinear);
  const auto got = limited->find(std::span(&large, 1))[0];
  const auto want = free->find(std::span(&back, 1))[0];
  REQUIRE(!got.empty());
  REQUIRE(got.front().score == want.front().score);
  // In pixels of the large picture.
  CHECK(got.front().box.x2 == doctest::Approx(3 * want.front().box.x2).epsilon(1e-5));
  CHECK(got.front().landmarks[3].y ==
        doctest::Approx(3 * want.front().landmarks[3].y).epsilon(1e-5));
  CHECK(free->find(std::span(&large, 1))[0].size() > got.size());  // more places
}

TEST_CASE("a frame of 8K") {
  const auto finder = open_face_detector(test::golden_path(kFiles[0]),
                                         make_exec(DeviceKind::kCpu, 2), golden_options(0.1));
  const Image small = pictures_in(kFiles[0])[0];
  const Image frame = data::resize(small, 4320, 7680, data::ResizeFilter::kNearest);
  const Image seen = data::resize(frame, 576, 1024, data::ResizeFilter::kBilinear);
  const auto faces = finder->find(std::span(&frame, 1))[0];
  const auto want = finder->find(std::span(&seen, 1))[0];
  REQUIRE(faces.size() > 100);
  // The overlap is one of pixels of the picture, so that behind the first one others may stay.
  CHECK(faces[0].score == want[0].score);
  CHECK(faces[0].box.x1 == doctest::Approx(7.5 * want[0].box.x1).epsilon(1e-4));
  CHECK(faces[0].landmarks[2].y == doctest::Approx(7.5 * want[0].landmarks[2].y).epsilon(1e-4));
}

TEST_CASE("what is known of a file and what is assumed") {
  const kernels::Exec exec = make_exec(DeviceKind::kCpu, 1);
  const auto text = [&](std::optional<double> slope) {
    FaceDetectorOptions options;
    options.slope = slope;
    return open_face_detector(test::golden_path(kFiles[0]), exec, options)->description();
  };
  CHECK(test::contains(text({}), "RetinaFace (MobileNet-0.0625), leaky ReLU 0.1 (assumed)"));
  CHECK(test::contains(text({}), "anchors from 16 pixels (assumed)"));
  CHECK(test::contains(text({}), kFiles[0] + "; score 0.5, overlap 0.4, long side up to 1024"));
  CHECK(test::contains(text(0.0), "ReLU (as asked for)"));
  CHECK(test::contains(text(0.2), "leaky ReLU 0.2 (as asked for)"));
  FaceDetectorOptions whole;
  whole.long_side = 0;
  const auto finder = open_face_detector(test::golden_path(kFiles[1]), exec, whole);
  CHECK(test::contains(finder->description(), "RetinaFace (ResNet-50, width 0.03125)"));
  CHECK(finder->description().find("long side") == std::string::npos);
}

// The golden file with some tensors changed.
using Tensors = std::vector<weights::TensorToWrite>;
void write_changed(const std::string& path, const std::function<void(Tensors&)>& change) {
  const WeightFile file(test::golden_path(kFiles[0]));
  Tensors tensors;
  for (const weights::TensorView& t : file.tensors()) {
    tensors.push_back({t.name, t.shape, t.dtype, t.bytes});
  }
  change(tensors);
  weights::write_safetensors(path, tensors, {});
}

TEST_CASE("weights below a prefix are found") {
  const test::TempFolder folder;
  const std::string path = folder / "wrapped.safetensors";
  write_changed(path, [](Tensors& tensors) {
    for (weights::TensorToWrite& t : tensors) t.name = "module." + t.name;
  });
  const auto finder = open_face_detector(path, make_exec(DeviceKind::kCpu, 2), golden_options(0.1));
  test::expect_ok("module.", check(finder->find(pictures_in(kFiles[0])), kFiles[0], 0.1));
}

TEST_CASE("files that are no RetinaFace are refused by name") {
  const test::TempFolder folder;
  const std::string path = folder / "weights.safetensors";
  const kernels::Exec exec = make_exec(DeviceKind::kCpu, 1);
  const auto refused = [&](const std::string& file, const std::string& part) {
    const std::string message = test::input_error([&] { open_face_detector(file, exec); });
    CHECK(test::contains(message, file));
    CHECK(test::contains(message, part));
  };
  refused(test::golden_path("torch_v15_narrow.safetensors"), "holds no RetinaFace");
  refused(folder / "missing.pth", "");
  test::write_text(path, "not weights");
  refused(path, "");
  const auto without = [&](const std::string& name) {
    write_changed(path, [&](Tensors& tensors) {
      std::erase_if(tensors, [&](const auto& t) { return t.name == name; });
    });
  };
  without("ssh2.conv7x7_3.0.weight");
  refused(path, "tensor 'ssh2.conv7x7_3.0.weight' is missing");
  without("LandmarkHead.2.conv1x1.bias");
  refused(path, "tensor 'LandmarkHead.2.conv1x1.bias' is missing");
  without("fpn.output1.0.weight");
  refused(path, "holds no RetinaFace");
  without("body.stage1.0.0.weight");
  refused(path, "neither MobileNet");
  write_changed(path, [](Tensors& tensors) {
    for (auto& t : tensors) {
      if (t.name == "BboxHead.0.conv1x1.weight") t.shape = {4, 16, 1, 1};
    }
  });
  refused(path,
          "tensor 'BboxHead.0.conv1x1.weight' has shape [4, 16, 1, 1], a RetinaFace of these "
          "widths has [8, 8, 1, 1]");
  std::vector<float> broken(2 * 3 * 9, std::nanf(""));
  write_changed(path, [&](Tensors& tensors) {
    for (auto& t : tensors) {
      if (t.name == "body.stage1.0.0.weight") t.bytes = std::as_bytes(std::span(broken));
    }
  });
  refused(path, "54 of 54 values are not finite");
}

TEST_CASE("options outside of their ranges are refused") {
  const auto refused = [](const auto& change, const std::string& part) {
    FaceDetectorOptions options;
    change(options);
    CHECK(test::contains(test::input_error([&] {
                           open_face_detector(test::golden_path(kFiles[0]),
                                              make_exec(DeviceKind::kCpu, 1), options);
                         }),
                         part));
  };
  refused([](auto& o) { o.score_threshold = 1.5; }, "score threshold of 1.5");
  refused([](auto& o) { o.score_threshold = std::nan(""); }, "score threshold");
  refused([](auto& o) { o.nms_threshold = -0.1; }, "overlap threshold of -0.1");
  refused([](auto& o) { o.long_side = -1; }, "long side of -1");
  refused([](auto& o) { o.min_size = -3; }, "faces from -3 pixels");
  refused([](auto& o) { o.batch = 0; }, "batches of 0");
  refused([](auto& o) { o.slope = 1.0; }, "slope of 1");
}

}  // namespace
}  // namespace verace::apps::face_detector_test
