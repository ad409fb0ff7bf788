// Two published RetinaFace files, when VERACE_TEST_DATA names the folder of test data.
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "tests/weights/torch_support.h"
#include "weights/torch/torch_file.h"

namespace verace::weights::torch_real_file_test {
namespace {

struct RealFile {
  const char* name;
  const char* format;
  double sum;  // of all floats, and of their absolute values, by PyTorch in double
  double sum_abs;
  float first;  // of the first tensor
  float last;   // of the last tensor
};

constexpr RealFile kFiles[] = {
    {"Final_Retinaface.pth", "stream", 292490.02689576324, 317707.6481358952, 0.211400643f,
     -0.10490796f},
    {"mobilenet0.25_Final.sglee487.pth", "zip", 252906.47574666483, 276644.9183305076,
     0.00215352816f, -0.140025869f},
};

TEST_CASE("published files of both containers hold what PyTorch reads") {
  const char* data = std::getenv("VERACE_TEST_DATA");
  if (data == nullptr) {
    std::printf("SKIPPED weights/torch_real_file: VERACE_TEST_DATA is not set\n");
    return;
  }
  for (const RealFile& expected : kFiles) {
    const std::string path = std::string(data) + "/retinaface_mobilenet025/" + expected.name;
    CAPTURE(path);
    const std::string bytes = read_text(path);
    REQUIRE_FALSE(bytes.empty());
    const TensorTable table = std::string(expected.format) == "zip"
                                  ? parse_torch_zip(bytes_of(bytes), path)
                                  : parse_torch_stream(bytes_of(bytes), path);
    CHECK(table.metadata.at("torch.format") == expected.format);
    REQUIRE(table.tensors.size() == 300);
    CHECK(table.tensors.front().name == "body.stage1.0.0.weight");
    CHECK(table.tensors.front().shape == std::vector<int64_t>{8, 3, 3, 3});
    CHECK(table.tensors.back().name == "LandmarkHead.2.conv1x1.bias");

    int64_t elements = 0, not_finite = 0;
    double sum = 0, sum_abs = 0;
    std::vector<float> first, last;
    for (const TensorView& tensor : table.tensors) {
      elements += tensor.element_count();
      CHECK(tensor.is_dense());
      if (tensor.dtype != Dtype::kF32) {
        CHECK(tensor.dtype == Dtype::kI64);
        continue;
      }
      std::vector<float> values(static_cast<size_t>(tensor.element_count()));
      REQUIRE(tensor.bytes.size() == values.size() * sizeof(float));
      std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
      for (const float value : values) {
        not_finite += !std::isfinite(value);
        sum += static_cast<double>(value);
        sum_abs += std::abs(static_cast<double>(value));
      }
      if (first.empty()) first = values;
      last = values;
    }
    CHECK(elements == 433'343);
    CHECK(not_finite == 0);
    // Double sums of half a million floats, in another order.
    CHECK(std::abs(sum - expected.sum) <= 1e-9 * expected.sum_abs);
    CHECK(std::abs(sum_abs - expected.sum_abs) <= 1e-9 * expected.sum_abs);
    CHECK(first.at(0) == expected.first);
    CHECK(last.at(0) == expected.last);
  }
}

}  // namespace
}  // namespace verace::weights::torch_real_file_test
