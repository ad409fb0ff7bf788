// Narrow RetinaFaces with random weights against PyTorch (tests/goldens/make_retinaface.py), on
// every device; and planted faults.
#include "layers/retinaface.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <vector>

#include "kernels/check.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/golden_network.h"
#include "tests/support/tolerances.h"
#include "weights/weight_file.h"

namespace verace::layers::retinaface_test {
namespace {

using test::OpClass;
using test::Verdict;
using weights::WeightFile;

constexpr int64_t kPictures = 2, kHeight = 61, kWidth = 83;

struct Network {
  const char* file;
  FaceBackbone backbone;
  int64_t features;
  int64_t depth;  // convolutions in sequence, more or less
};
constexpr Network kNetworks[] = {
    {"retinaface_mobilenet_narrow.safetensors", FaceBackbone::kMobileNet, 8, 35},
    {"retinaface_resnet50_narrow.safetensors", FaceBackbone::kResNet50, 12, 60}};

using Pixels = std::vector<uint8_t>;
using Maps = std::array<std::vector<float>, 3>;

Pixels pictures_in(const WeightFile& file) {
  const std::vector<float> values = file.read_f32("pictures");
  REQUIRE(static_cast<int64_t>(values.size()) == kPictures * kHeight * kWidth * 3);
  return {values.begin(), values.end()};
}

// What may be done to a network before it runs, in planted faults.
struct Change {
  std::function<void(RetinaFaceOptions&)> options = [](RetinaFaceOptions&) {};
  std::function<void(engine::LayerTable&)> weights = [](engine::LayerTable&) {};
  std::function<void(Pixels&)> pictures = [](Pixels&) {};
};

// The maps of pictures `first` to before `last`.
Maps run(const kernels::Exec& exec, const Network& kind, float slope, int64_t first, int64_t last,
         const Change& change = {}) {
  const WeightFile file(test::golden_path(kind.file));
  RetinaFaceOptions options{kind.backbone, 2, kind.features, slope};
  change.options(options);
  RetinaFace network(options);
  test::load_golden(network.table(), file, "");
  change.weights(network.table());
  network.table().move_to(engine::memory_of(exec));
  Pixels pixels = pictures_in(file);
  change.pictures(pixels);
  const RetinaFaceStep plan =
      network.plan(exec, std::make_shared<engine::Arena>(), last - first, kHeight, kWidth);
  const auto picture = static_cast<size_t>(kHeight * kWidth * 3);
  plan.step.write<uint8_t>(plan.pictures,
                           std::span(pixels).subspan(static_cast<size_t>(first) * picture,
                                                     static_cast<size_t>(last - first) * picture));
  plan.step.run();
  Maps maps;
  for (size_t level = 0; level < maps.size(); ++level) {
    maps[level] = plan.step.read_f32(plan.maps[level]);
  }
  return maps;
}

std::string slope_text(float slope) { return slope == 0 ? "slope0" : "slope0.1"; }

double largest(std::span<const float> values) {
  double result = 0;
  for (const float v : values) result = std::max(result, std::abs(static_cast<double>(v)));
  return result;
}

Verdict check(const Network& kind, float slope, const Maps& got) {
  const WeightFile file(test::golden_path(kind.file));
  Verdict v;
  for (size_t level = 0; level < got.size(); ++level) {
    const std::string name = slope_text(slope) + ".maps." + std::to_string(level);
    const std::vector<float> want = file.read_f32(name);
    v.require(name, test::compare(std::span<const float>(got[level]), std::span<const float>(want),
                                  test::tolerance(OpClass::kNetwork, kind.depth, largest(want))));
  }
  return v;
}

TEST_CASE("both backbones give PyTorch's maps, with ReLU and with leaky ReLU") {
  test::for_each_device([](const kernels::Exec& exec) {
    for (const Network& kind : kNetworks) {
      for (const float slope : {0.0f, 0.1f}) {
        const Verdict v = check(kind, slope, run(exec, kind, slope, 0, kPictures));
        test::expect_ok(kind.file + (" " + slope_text(slope)), v);
      }
    }
  });
}

TEST_CASE("a picture's maps do not depend on the batch that it is in") {
  const kernels::Exec exec = kernels::make_exec(kernels::DeviceKind::kReference, 1);
  const Maps both = run(exec, kNetworks[0], 0.1f, 0, kPictures);
  const Maps alone = run(exec, kNetworks[0], 0.1f, 1, kPictures);
  for (size_t level = 0; level < both.size(); ++level) {
    const std::vector<float> second(both[level].begin() + alone[level].size(), both[level].end());
    CHECK(test::compare_bits(alone[level], second).ok);
  }
}

TEST_CASE("sizes that no stride divides, down to one pixel") {
  const kernels::Exec exec = kernels::make_exec(kernels::DeviceKind::kCpu, 2);
  RetinaFace network({});
  for (const auto& [h, w] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {33, 8}, {9, 65}}) {
    const RetinaFaceStep plan = network.plan(exec, std::make_shared<engine::Arena>(), 1, h, w);
    for (size_t level = 0; level < plan.maps.size(); ++level) {
      const int64_t stride = int64_t{8} << level;
      const engine::Shape want = {1, (h + stride - 1) / stride, (w + stride - 1) / stride, 32};
      CHECK(plan.step.info(plan.maps[level]).shape == want);
    }
  }
}

TEST_CASE("the published networks' sizes") {
  const auto parameters = [](const RetinaFaceOptions& options) {
    int64_t count = 0, tensors = 0;
    const RetinaFace network(options);
    for (const engine::Parameter* p : network.table().parameters()) {
      count += p->value.count();
      ++tensors;
    }
    return std::pair(tensors, count);
  };
  // 300 entries of the published state dict, less 47 num_batches_tracked of one element each.
  CHECK(parameters({}) == std::pair<int64_t, int64_t>(300 - 47, 433296));
  RetinaFaceOptions wide{FaceBackbone::kResNet50, 64, 256, 0.0f};
  // ResNet-50 without fc (23508032 and 53120 statistics), and 256 channels of pyramid and context.
  CHECK(parameters(wide).second > 27'000'000);
}

TEST_CASE("planted faults in the network are caught") {
  const kernels::Exec exec = kernels::make_exec(kernels::DeviceKind::kCpu, 2);
  const auto exchange = [](engine::LayerTable& table, const std::string& a, const std::string& b) {
    for (const char* part : {"weight", "bias", "running_mean", "running_var"}) {
      const bool of_bn = a.ends_with("1") || part == std::string("weight");
      if (!of_bn) continue;
      std::ranges::swap_ranges(table.find(a)->parameter(part).value.f32_span(),
                               table.find(b)->parameter(part).value.f32_span());
    }
  };
  for (const Network& kind : kNetworks) {
    const auto caught = [&](const std::string& fault, const Change& change) {
      const Maps maps = run(exec, kind, 0.1f, 0, kPictures, change);
      test::expect_caught(kind.file + (": " + fault), check(kind, 0.1f, maps));
    };
    caught("ReLU for leaky ReLU", {.options = [](auto& o) { o.slope = 0.0f; }});
    caught("another slope", {.options = [](auto& o) { o.slope = 0.11f; }});
    caught("channels in the order of RGB", {.pictures = [](Pixels& p) {
             for (size_t i = 0; i < p.size(); i += 3) std::swap(p[i], p[i + 2]);
           }});
    // conv(x) = conv(x - mean) + conv(mean), which the running mean takes up.
    const std::string stem =
        kind.backbone == FaceBackbone::kMobileNet ? "body.stage1.0.0" : "body.conv1";
    const std::string norm =
        kind.backbone == FaceBackbone::kMobileNet ? "body.stage1.0.1" : "body.bn1";
    caught("no mean", {.weights = [&](engine::LayerTable& table) {
             const std::array<float, 3> mean = {104, 117, 123};
             const auto w = table.find(stem)->parameter("weight").value.f32_span();
             const auto moved = table.find(norm)->parameter("running_mean").value.f32_span();
             for (size_t i = 0; i < w.size(); ++i) {
               moved[i / (w.size() / moved.size())] -= w[i] * mean[i % 3];
             }
           }});
    caught("merges exchanged", {.weights = [&](engine::LayerTable& table) {
             exchange(table, "fpn.merge1.0", "fpn.merge2.0");
             exchange(table, "fpn.merge1.1", "fpn.merge2.1");
           }});
    caught("contexts exchanged", {.weights = [&](engine::LayerTable& table) {
             exchange(table, "ssh1.conv5X5_2.0", "ssh1.conv7x7_3.0");
             exchange(table, "ssh1.conv5X5_2.1", "ssh1.conv7x7_3.1");
           }});
    caught("batch norm of one layer without its statistics",
           {.weights = [](engine::LayerTable& table) {
             auto& variance = table.find("ssh3.conv7x7_3.1")->parameter("running_var").value;
             std::ranges::fill(variance.f32_span(), 1.0f);
           }});
    caught("anchors' classes exchanged", {.weights = [](engine::LayerTable& table) {
             auto& bias = table.find("ClassHead.1.conv1x1")->parameter("bias").value;
             std::swap(bias.f32()[0], bias.f32()[2]);
           }});
  }
  // The depthwise filters of which only MobileNet consists.
  const Maps maps =
      run(exec, kNetworks[0], 0.1f, 0, kPictures, {.weights = [](engine::LayerTable& table) {
            auto& w = table.find("body.stage2.3.0")->parameter("weight").value;
            std::ranges::reverse(w.f32_span());
          }});
  test::expect_caught("depthwise filter turned", check(kNetworks[0], 0.1f, maps));
}

}  // namespace
}  // namespace verace::layers::retinaface_test
