// Expected tensors, the check of a file against them, hints about other networks, weight order.
#include "weights/name_map.h"

#include <cmath>
#include <numeric>
#include <set>

#include "tests/weights/support.h"

namespace verace::weights::name_map_test {
namespace {

int64_t elements(const std::vector<ExpectedTensor>& tensors, bool parameters_only) {
  int64_t total = 0;
  for (const ExpectedTensor& tensor : tensors) {
    if (parameters_only &&
        (tensor.role == TensorRole::kBnMean || tensor.role == TensorRole::kBnVariance))
      continue;
    total +=
        std::accumulate(tensor.shape.begin(), tensor.shape.end(), int64_t{1}, std::multiplies<>());
  }
  return total;
}

TEST_CASE("torchvision's resnet50: 320 entries less 53 counters, 25,557,032 parameters") {
  const std::vector<ExpectedTensor> tensors = expected_tensors({});
  CHECK(tensors.size() == 267);
  CHECK(elements(tensors, true) == 25'557'032);
  std::set<std::string> names;
  for (const ExpectedTensor& tensor : tensors) names.insert(tensor.name);
  CHECK(names.size() == 267);
  CHECK(tensors.front().name == "conv1.weight");
  CHECK(tensors.front().shape == std::vector<int64_t>{64, 3, 7, 7});
  CHECK(tensors.back().name == "fc.bias");
  const auto shape_of = [&](const char* name) {
    for (const ExpectedTensor& tensor : tensors) {
      if (tensor.name == name) return shape_text(tensor.shape);
    }
    return std::string("absent");
  };
  CHECK(shape_of("layer1.0.conv1.weight") == "[64, 64, 1, 1]");
  CHECK(shape_of("layer1.1.conv1.weight") == "[64, 256, 1, 1]");
  CHECK(shape_of("layer2.0.conv1.weight") == "[128, 256, 1, 1]");
  CHECK(shape_of("layer2.0.downsample.0.weight") == "[512, 256, 1, 1]");
  CHECK(shape_of("layer3.5.conv2.weight") == "[256, 256, 3, 3]");
  CHECK(shape_of("layer3.6.conv2.weight") == "absent");
  CHECK(shape_of("layer4.0.downsample.1.running_var") == "[2048]");
  CHECK(shape_of("layer4.1.downsample.0.weight") == "absent");
  CHECK(shape_of("layer4.2.bn3.running_mean") == "[2048]");
  CHECK(shape_of("fc.weight") == "[1000, 2048]");
}

TEST_CASE("backbone, hidden head, convolution biases") {
  ModelDescription description;
  description.classes = 0;
  CHECK(expected_tensors(description).size() == 265);
  CHECK(elements(expected_tensors(description), true) == 23'508'032);
  // Keras counts biases and running statistics: 23,587,712.
  description.conv_bias_present = true;
  CHECK(expected_tensors(description).size() == 265 + 53);
  CHECK(elements(expected_tensors(description), false) == 23'587'712);
  description.conv_bias_present = false;
  description.classes = 2;
  description.head_hidden = 3000;
  const auto tensors = expected_tensors(description);
  CHECK(tensors.size() == 269);
  CHECK(tensors[265].name == "fc.0.weight");
  CHECK(tensors[265].shape == std::vector<int64_t>{3000, 2048});
  CHECK(tensors[267].shape == std::vector<int64_t>{2, 3000});
}

// The mismatch of a tiny network after `change`; empty when it fits.
template <typename Change>
std::string mismatch(Change change, TinyNetwork network = TinyNetwork()) {
  const TempFolder folder;
  change(network);
  const WeightFile file = network.write(folder / "net.safetensors");
  const ModelDescription description = describe(file);
  const std::string text = find_mismatch(file, description);
  if (text.empty()) {
    check_against(file, description);
  } else {
    const std::string error = input_error([&] { check_against(file, description); });
    CHECK_CONTAINS(error, "net.safetensors: ");
    CHECK_CONTAINS(error, text);
  }
  return text;
}

TEST_CASE("complete networks fit") {
  const auto as_it_is = [](TinyNetwork&) {};
  CHECK(mismatch(as_it_is) == "");
  CHECK(mismatch(as_it_is, TinyNetwork(5, 7)) == "");
  CHECK(mismatch(as_it_is, TinyNetwork(0)) == "");
  CHECK(mismatch(as_it_is, TinyNetwork(2, 0, true)) == "");
  CHECK(mismatch([](TinyNetwork& n) { n.remove("layer3.2.conv2.bias"); },
                 TinyNetwork(2, 0, true)) == "");
  CHECK(mismatch([](TinyNetwork& n) {
          n.tensors.push_back({"bn1.num_batches_tracked", {}, TensorRole::kBnMean});
        }) == "");
  CHECK(mismatch([](TinyNetwork& n) {
          for (ExpectedTensor& tensor : n.tensors) tensor.name = "module." + tensor.name;
        }) == "");
}

TEST_CASE("missing, unexpected, wrong shape: the first of each and how many") {
  CHECK_CONTAINS(mismatch([](TinyNetwork& n) { n.remove("layer2.1.bn2.running_var"); }),
                 "1 missing ('layer2.1.bn2.running_var')");
  CHECK_CONTAINS(mismatch([](TinyNetwork& n) {
                   n.remove("fc.bias");
                   n.remove("layer1.0.bn3.bias");
                 }),
                 "2 missing (first: 'layer1.0.bn3.bias')");
  CHECK_CONTAINS(mismatch([](TinyNetwork& n) {
                   n.tensors.push_back({"extra", {1}, TensorRole::kBnMean});
                 }),
                 "1 not expected ('extra')");
  const std::string shape = mismatch([](TinyNetwork& n) {
    n.at("layer4.0.conv2.weight").shape = {16, 16, 1, 1};
  });
  CHECK_CONTAINS(
      shape,
      "1 of wrong shape ('layer4.0.conv2.weight' is [16, 16, 1, 1], expected [16, 16, 3, 3])");
  CHECK_CONTAINS(mismatch([](TinyNetwork& n) { n.remove("fc.2.weight"); }, TinyNetwork(2, 3)),
                 "not expected (first: 'fc.0.weight')");
}

TEST_CASE("a tensor of integers is of wrong dtype") {
  const TempFolder folder;
  const TinyNetwork network;
  std::vector<std::vector<float>> values;
  std::vector<TensorToWrite> list;
  for (const ExpectedTensor& tensor : network.tensors) {
    const auto count = elements({tensor}, false);
    values.emplace_back(static_cast<size_t>(count), 1.0f);
    list.emplace_back(tensor.name, tensor.shape,
                      tensor.name == "fc.bias" ? Dtype::kI32 : Dtype::kF32,
                      std::as_bytes(std::span(values.back())));
  }
  write_safetensors(folder / "f", list, {});
  const WeightFile file(folder / "f");
  CHECK_CONTAINS(find_mismatch(file, describe(file)), "1 of wrong dtype ('fc.bias' is I32");
}

TEST_CASE("hints: what the file might be") {
  const auto add_blocks = [](TinyNetwork& n, int stage, int from, int to) {
    for (int b = from; b < to; ++b) {
      n.tensors.push_back({"layer" + std::to_string(stage) + "." + std::to_string(b) + ".bn1.bias",
                           {1},
                           TensorRole::kBnBeta});
    }
  };
  CHECK_CONTAINS(mismatch([&](TinyNetwork& n) { add_blocks(n, 3, 6, 23); }),
                 "looks like ResNet-101: 23 blocks in layer3");
  CHECK_CONTAINS(mismatch([&](TinyNetwork& n) {
                   add_blocks(n, 2, 4, 8);
                   add_blocks(n, 3, 6, 36);
                 }),
                 "ResNet-152");
  CHECK_CONTAINS(mismatch([&](TinyNetwork& n) { add_blocks(n, 1, 3, 5); }),
                 "has 5, 4, 6, 3 blocks per stage");
  CHECK_CONTAINS(mismatch([](TinyNetwork& n) {
                   std::erase_if(n.tensors,
                                 [](const auto& t) { return contains(t.name, "3.weight"); });
                 }),
                 "ResNet-34");
  CHECK_CONTAINS(mismatch([](TinyNetwork& n) {
                   n.at("layer1.0.conv2.weight").shape = {2, 1, 3, 3};
                 }),
                 "ResNeXt");
  CHECK_CONTAINS(mismatch([](TinyNetwork& n) {
                   n.at("layer1.0.conv3.weight").shape = {4, 2, 1, 1};
                 }),
                 "wide");
}

TEST_CASE("files of other naming families are named when described") {
  const TempFolder folder;
  const auto error = [&](const std::string& name) {
    const std::vector<float> one{1};
    const TensorToWrite tensors[] = {{name, {1}, one}};
    write_safetensors(folder / "other", tensors, {});
    return input_error([&] { describe(WeightFile(folder / "other")); });
  };
  CHECK_CONTAINS(error("resnetv17_conv0_weight"), "Gluon");
  CHECK_CONTAINS(error("body.stage1.0.0.weight"), "RetinaFace");
  CHECK_CONTAINS(error("something"), "has no tensor 'conv1.weight': choose");
  CHECK_CONTAINS(error("conv1.weight"), "has no tensor 'layer1.0.conv1.weight'");
}

TEST_CASE("names of convolution biases") {
  for (const char* name :
       {"conv1.bias", "layer1.0.conv1.bias", "layer4.2.conv3.bias", "layer2.0.downsample.0.bias"}) {
    CHECK(is_conv_bias_name(name));
    CHECK_FALSE(is_conv_bias_name(std::string("module.") + name));
  }
  for (const char* name : {"bn1.bias", "layer1.0.bn1.bias", "layer1.0.downsample.1.bias", "fc.bias",
                           "bias", ".bias", "conv1.weight"}) {
    CHECK_FALSE(is_conv_bias_name(name));
  }
}

TEST_CASE("convolution weights change order and back") {
  const TempFolder folder;
  const std::vector<int64_t> shape{5, 3, 2, 7};
  std::vector<float> ours(5 * 3 * 2 * 7), file_order(ours.size()), back(ours.size());
  std::iota(ours.begin(), ours.end(), 0.0f);
  ohwi_to_oihw(ours, shape, file_order);
  for (int o = 0; o < 5; ++o)
    for (int i = 0; i < 3; ++i)
      for (int y = 0; y < 2; ++y)
        for (int x = 0; x < 7; ++x)
          REQUIRE(ours[((o * 2 + y) * 7 + x) * 3 + i] == file_order[((o * 3 + i) * 2 + y) * 7 + x]);
  const TensorToWrite tensors[] = {{"t", shape, file_order}, {"flat", {5, 42}, file_order}};
  write_safetensors(folder / "f", tensors, {});
  const WeightFile file(folder / "f");
  file.read_filter_f32("t", back);
  CHECK(back == ours);
  CHECK_THROWS_AS(file.read_filter_f32("flat", back), Error);
  CHECK_THROWS_AS(ohwi_to_oihw(file_order, std::vector<int64_t>{5, 3, 14}, ours), Error);
  CHECK_THROWS_AS(ohwi_to_oihw(file_order, std::vector<int64_t>{5, 3, 2, 6}, ours), Error);
}

}  // namespace
}  // namespace verace::weights::name_map_test
