// The real ImageNet ResNet-50 v1 (VERACE_TEST_DATA) against PyTorch's logits and features; and what
// a wrong variant or pooling does to them.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "apps/lib/model_file.h"
#include "apps/lib/session.h"
#include "tests/support/compare.h"
#include "tests/support/faults.h"
#include "tests/support/npy.h"

namespace verace::apps::real_weights_fullsize_test {
namespace {

constexpr int64_t kSize = 224;

struct RealData {
  std::string folder, weights;
  RealData() {
    const char* data = std::getenv("VERACE_TEST_DATA");
    if (data == nullptr) return;
    folder = std::string(data) + "/resnet50_imagenet_v1";
    weights = std::filesystem::temp_directory_path() / "verace_real_weights_test.safetensors";
    const std::string packed = folder + "/resnet50_imagenet_v1_fp16.safetensors.xz";
    const std::string command = "xz -dc '" + packed + "' > '" + weights + "'";
    REQUIRE(std::system(command.c_str()) == 0);
  }
  ~RealData() {
    if (!weights.empty()) std::filesystem::remove(weights);
  }
  RealData(const RealData&) = delete;
  RealData& operator=(const RealData&) = delete;
};

// The stored inputs are normalised already ([1, 3, h, w]): the network runs with scale "unit".
std::vector<float> to_nhwc(const std::vector<float>& nchw) {
  std::vector<float> result(nchw.size());
  for (int64_t c = 0; c < 3; ++c)
    for (int64_t i = 0; i < kSize * kSize; ++i)
      result[static_cast<size_t>(i * 3 + c)] = nchw[static_cast<size_t>(c * kSize * kSize + i)];
  return result;
}

// design.md 6: at most 1e-3 of the largest logit; the rest is fp32 rounding through 53 layers.
test::Comparison compare_logits(std::span<const float> got, std::span<const float> want) {
  double largest = 0;
  for (const float v : want) largest = std::max(largest, std::abs(static_cast<double>(v)));
  return test::compare(got, want, {1e-3 * largest, 0.0, "1e-3 of the largest logit"});
}

std::vector<float> logits_of(const RealData& data, weights::Overrides overrides,
                             const std::vector<float>& input) {
  overrides.input_scale = engine::InputScale::kUnit;
  overrides.force = true;
  const LoadedModel model = load_model(data.weights, overrides);
  InferenceSession session(*model.classifier, kernels::make_exec(kernels::DeviceKind::kCpu),
                           std::make_shared<engine::Arena>());
  return session.run_unit(input).logits;
}

int64_t arg_max(std::span<const float> values) {
  return std::max_element(values.begin(), values.end()) - values.begin();
}

}  // namespace

TEST_CASE("real weights: three pictures, PyTorch's logits; wrong networks are caught") {
  const RealData data;
  if (data.folder.empty()) {
    std::printf("SKIPPED apps/real_weights: VERACE_TEST_DATA is not set\n");
    return;
  }
  const std::vector<std::pair<std::string, int64_t>> pictures = {
      {"input", 285}, {"input1", 207}, {"input2", 265}};
  for (const auto& [name, answer] : pictures) {
    const auto input = to_nhwc(test::read_npy(data.folder + "/golden/" + name + ".npy").values);
    const auto want = test::read_npy(data.folder + "/golden/ref_logits_" + name + ".npy").values;
    const std::vector<float> got = logits_of(data, {}, input);
    const test::Comparison comparison = compare_logits(got, want);
    MESSAGE(name, ": ", comparison.message);
    test::expect_ok(name, comparison);
    CHECK(arg_max(got) == answer);

    weights::Overrides strides, pooling;
    strides.variant = engine::Variant::kV15;
    pooling.pool = engine::PoolMode::kPadded;
    test::expect_caught(name + " with v1.5 strides",
                        compare_logits(logits_of(data, strides, input), want));
    test::expect_caught(name + " with padded pooling",
                        compare_logits(logits_of(data, pooling, input), want));
  }
}

}  // namespace verace::apps::real_weights_fullsize_test
