// A real ImageNet ResNet-50 v1 in fp16, when VERACE_TEST_DATA names the folder of test data.
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "tests/weights/support.h"
#include "weights/inspect.h"

namespace verace::weights::real_file_test {
namespace {

TEST_CASE("the real weight file is read, described and complete") {
  const char* data = std::getenv("VERACE_TEST_DATA");
  if (data == nullptr) {
    std::printf("SKIPPED weights/real_file: VERACE_TEST_DATA is not set\n");
    return;
  }
  const std::string packed =
      std::string(data) + "/resnet50_imagenet_v1/resnet50_imagenet_v1_fp16.safetensors.xz";
  REQUIRE_MESSAGE(std::filesystem::exists(packed), packed);
  CHECK_CONTAINS(input_error([&] { WeightFile opened(packed); }), "xz -d");

  const TempFolder folder;
  const std::string path = folder / "resnet50.safetensors";
  const std::string command = "xz -dc '" + packed + "' > '" + path + "'";
  REQUIRE(std::system(command.c_str()) == 0);
  const WeightFile file(path);
  CHECK(file.file_bytes() == 51'459'112);
  CHECK(file.tensors().size() == 267);
  const ModelDescription description = describe(file);
  CHECK(description.variant == Variant::kV1);
  CHECK(description.pool == PoolMode::kCeil);
  CHECK(description.input_scale == InputScale::kTorch);
  CHECK(description.bn_epsilon == 1e-5);
  CHECK(description.width == 1);
  CHECK(description.stem_channels == 64);
  CHECK(description.classes == 1000);
  CHECK(description.head_hidden == 0);
  CHECK(find_mismatch(file, description) == "");

  // Facts from the file's own description: 18 % of the convolution weights, 763 fully pruned
  // channels.
  int64_t weights = 0, not_zero = 0, pruned = 0, not_finite = 0;
  for (const ExpectedTensor& tensor : expected_tensors(description)) {
    for (const float value : file.read_f32(tensor.name)) {
      not_finite += !std::isfinite(value);
      if (tensor.role == TensorRole::kConvWeight) {
        ++weights;
        not_zero += value != 0;
      }
      pruned += tensor.role == TensorRole::kBnVariance && value == 0;
    }
  }
  CHECK(not_finite == 0);
  CHECK(pruned == 763);
  const double share = static_cast<double>(not_zero) / static_cast<double>(weights);
  CHECK(share > 0.15);
  CHECK(share < 0.21);

  // The same network stored as fp32 with our own metadata reads back equal.
  std::vector<std::vector<float>> values;
  std::vector<TensorToWrite> list;
  for (const TensorView& tensor : file.tensors()) {
    values.push_back(file.read_f32(tensor.name));
    list.emplace_back(tensor.name, tensor.shape, values.back());
  }
  write_safetensors(folder / "fp32.safetensors", list, metadata_of(description));
  const WeightFile copy(folder / "fp32.safetensors");
  for (size_t i = 0; i < list.size(); ++i) CHECK(copy.read_f32(list[i].name) == values[i]);
  for (const Finding& finding : describe(copy).findings) {
    CHECK_MESSAGE(finding.source != Source::kAssumption, finding.what);
  }
  CHECK_CONTAINS(inspect_table(inspect(file), true), "all tensors of ResNet-50 are there");
}

}  // namespace
}  // namespace verace::weights::real_file_test
