// The golden networks under each library's names: the same tensors in every bit, and what is
// assumed about them.
#include "weights/name_families.h"

#include <algorithm>

#include "tests/support/renamed_network.h"
#include "tests/weights/support.h"
#include "weights/inspect.h"

namespace verace::weights::name_families_test {
namespace {

using test::NamedTensor;
using test::renamed;
using test::Spelling;
using test::write_named;

WeightFile golden(const std::string& stem) {
  return WeightFile(std::string(VERACE_GOLDENS) + "/" + stem + ".safetensors");
}

// All of the golden's tensors, under our names.
void check_same(const WeightFile& file, const WeightFile& want, const std::string& prefix) {
  size_t compared = 0;
  for (const TensorView& tensor : want.tensors()) {
    if (!tensor.name.starts_with(prefix)) continue;
    const std::string name = tensor.name.substr(prefix.size());
    ++compared;
    const TensorView* found = file.find(name);
    REQUIRE_MESSAGE(found != nullptr, name);
    CHECK_MESSAGE(found->shape == tensor.shape, name);
    CHECK_MESSAGE(file.read_f32(name) == want.read_f32(tensor.name), name);
  }
  CHECK(compared > 265);
  CHECK(file.tensors().size() == compared);
  CHECK(find_mismatch(file, describe(file)) == "");
}

const Finding& finding(const ModelDescription& description, const std::string& what) {
  for (const Finding& one : description.findings) {
    if (one.what == what) return one;
  }
  throw std::out_of_range(what);
}

TEST_CASE("every family's names give the same tensors in every bit") {
  const TempFolder folder;
  const WeightFile torch = golden("torch_v15_narrow"), keras = golden("keras_v1_narrow");
  struct Case {
    const WeightFile& source;
    Spelling spelling;
    NameFamily family;
    std::string wrapper;
    std::map<std::string, std::string> head;
  };
  const std::map<std::string, std::string> dense{{"fc.0", "dense"}, {"fc.2", "dense_1"}};
  const Case cases[] = {
      {torch, Spelling::kTorchvision, NameFamily::kTorchvision, "", {}},
      {torch, Spelling::kTorchvision, NameFamily::kTorchvision, "module.", {}},
      {torch, Spelling::kTorchvision, NameFamily::kTorchvision, "module.model.backbone.", {}},
      {torch, Spelling::kTorchvision, NameFamily::kTorchvision, "_orig_mod.", {{"fc.2", "fc.3"}}},
      {torch,
       Spelling::kHuggingFace,
       NameFamily::kHuggingFace,
       "",
       {{"fc.0", "head.a"}, {"fc.2", "head.b"}}},
      {torch, Spelling::kHuggingFace, NameFamily::kHuggingFace, "model.", {}},
      {keras, Spelling::kKeras, NameFamily::kKeras, "", dense},
      {keras, Spelling::kKeras, NameFamily::kKeras, "resnet50/", {{"fc.0", "a"}, {"fc.2", "b"}}},
      {keras, Spelling::kOldKeras, NameFamily::kOldKeras, "", dense},
      // Against their order in the file: the shapes tell the first from the second.
      {keras, Spelling::kOldKeras, NameFamily::kOldKeras, "", {{"fc.0", "zz"}, {"fc.2", "aa"}}}};
  for (const Case& one : cases) {
    CAPTURE(one.wrapper);
    CAPTURE(to_string(one.family));
    std::vector<NamedTensor> tensors =
        renamed(one.source, "weights/", one.spelling, one.wrapper, one.head);
    write_named(folder / "f", tensors);
    const WeightFile file(folder / "f");
    CHECK(file.naming().family == one.family);
    const bool hugging = one.family == NameFamily::kHuggingFace;
    CHECK(file.naming().prefix == one.wrapper + (hugging ? "resnet." : ""));
    check_same(file, one.source, "weights/");
    std::reverse(tensors.begin(), tensors.end());
    write_named(folder / "g", tensors);
    check_same(WeightFile(folder / "g"), one.source, "weights/");
  }
}

TEST_CASE("heads of one layer, and none") {
  const TempFolder folder;
  const TinyNetwork one(5), none(0);
  const WeightFile head = one.write(folder / "one"), bare = none.write(folder / "none");
  for (const Spelling spelling : {Spelling::kHuggingFace, Spelling::kKeras, Spelling::kOldKeras}) {
    for (const char* name : {"predictions", "probs", "fc1000", "dense_7", "classifier.1", "fc"}) {
      write_named(folder / "f", renamed(head, "", spelling, "", {{"fc", name}}));
      const WeightFile file(folder / "f");
      CHECK(describe(file).classes == 5);
      CHECK(find_mismatch(file, describe(file)) == "");
    }
    write_named(folder / "f", renamed(bare, "", spelling));
    CHECK(describe(WeightFile(folder / "f")).classes == 0);
  }
}

TEST_CASE("dense layers that do not lead on from the backbone are no head") {
  const TempFolder folder;
  const TinyNetwork none(0);
  const WeightFile bare = none.write(folder / "none");
  const int64_t channels = 64;
  const auto mismatch =
      [&](const std::vector<std::pair<std::string, std::vector<int64_t>>>& dense) {
        std::vector<NamedTensor> tensors = renamed(bare, "", Spelling::kKeras);
        for (const auto& [name, shape] : dense) {
          const int64_t count = shape[0] * (shape.size() > 1 ? shape[1] : 1);
          tensors.push_back({name, shape, std::vector<float>(static_cast<size_t>(count), 1.0f)});
        }
        write_named(folder / "f", tensors);
        const WeightFile file(folder / "f");
        CHECK(describe(file).classes == 0);
        return find_mismatch(file, describe(file));
      };
  CHECK(mismatch({}) == "");
  // [in, out], as Keras stores it.
  CHECK_CONTAINS(mismatch({{"a/kernel", {channels + 1, 2}}, {"a/bias", {2}}}), "'a/kernel'");
  CHECK_CONTAINS(mismatch({{"a/kernel", {channels, 2}}}), "'a/kernel'");
  CHECK_CONTAINS(mismatch({{"a/kernel", {channels, 2}}, {"a/bias", {3}}}), "2 not expected");
  CHECK_CONTAINS(
      mismatch(
          {{"a/kernel", {channels, 3}}, {"a/bias", {3}}, {"b/kernel", {4, 2}}, {"b/bias", {2}}}),
      "4 not expected");
  CHECK_CONTAINS(mismatch({{"a/kernel", {channels, 3}},
                           {"a/bias", {3}},
                           {"b/kernel", {3, 3}},
                           {"b/bias", {3}},
                           {"c/kernel", {3, 2}},
                           {"c/bias", {2}}}),
                 "6 not expected");
}

TEST_CASE("what is assumed without metadata is the family's convention") {
  const TempFolder folder;
  const TinyNetwork tiny(5, 3);
  const WeightFile ours = tiny.write(folder / "ours");
  const auto described = [&](Spelling spelling) {
    write_named(folder / "f", renamed(ours, "", spelling));
    return describe(WeightFile(folder / "f"));
  };
  const ModelDescription hugging = described(Spelling::kHuggingFace);
  CHECK(hugging.variant == Variant::kV15);
  CHECK(hugging.bn_epsilon == 1e-5);
  CHECK(hugging.bn_momentum == 0.1);
  CHECK(hugging.input_scale == InputScale::kTorch);
  const ModelDescription keras = described(Spelling::kKeras);
  CHECK(keras.variant == Variant::kV1);
  CHECK(keras.pool == PoolMode::kPadded);
  CHECK(keras.bn_epsilon == 1.001e-5);
  CHECK(keras.bn_momentum == 0.01);
  CHECK(keras.running_variance == RunningVariance::kUnbiased);
  CHECK(keras.input_scale == InputScale::kCaffe);
  const ModelDescription old = described(Spelling::kOldKeras);
  CHECK(old.variant == Variant::kV1);
  CHECK(old.bn_epsilon == 1e-3);
  CHECK(old.bn_momentum == 0.01);
  CHECK(old.input_scale == InputScale::kCaffe);
  for (const ModelDescription* d : {&hugging, &keras, &old}) {
    for (const char* what : {"variant", "pool", "batch-norm epsilon", "batch-norm momentum",
                             "running variance", "input scale"}) {
      CHECK_MESSAGE(finding(*d, what).source == Source::kAssumption, what);
    }
  }
  CHECK_CONTAINS(finding(keras, "variant").why, "keras.applications");
  CHECK_CONTAINS(finding(old, "variant").why, "old resnet50.py");
  CHECK(finding(keras, "names").value == "Keras");
  CHECK(finding(keras, "stem channels").why == "conv1_conv/kernel");
}

TEST_CASE("two networks in one file are refused") {
  const TempFolder folder;
  const TinyNetwork tiny;
  const WeightFile ours = tiny.write(folder / "ours");
  std::vector<NamedTensor> tensors = renamed(ours, "", Spelling::kTorchvision, "module.");
  tensors.push_back({"fc.bias", {2}, {1, 2}});
  write_named(folder / "f", tensors);
  const std::string error = input_error([&] { WeightFile file(folder / "f"); });
  CHECK_CONTAINS(error, "'module.fc.bias'");
  CHECK_CONTAINS(error, "both the tensor 'fc.bias'");
}

TEST_CASE("other words before the names are no wrapper") {
  const TempFolder folder;
  const TinyNetwork tiny;
  const WeightFile ours = tiny.write(folder / "ours");
  for (const char* wrapper : {"x", "x.", "modul.", "module", "module.x.", "weights/", "."}) {
    write_named(folder / "f", renamed(ours, "", Spelling::kTorchvision, wrapper));
    const WeightFile file(folder / "f");
    CHECK_MESSAGE(file.naming().family == NameFamily::kUnknown, wrapper);
    CHECK(file.find(std::string(wrapper) + "conv1.weight") != nullptr);
    CHECK_CONTAINS(input_error([&] { describe(file); }), "has no tensor 'conv1.weight'");
  }
}

TEST_CASE("reports show our names, the file's, and the family") {
  const TempFolder folder;
  const TinyNetwork tiny;
  write_named(folder / "f", renamed(tiny.write(folder / "ours"), "", Spelling::kKeras));
  const WeightFile file(folder / "f");
  const ModelDescription description = describe(file);
  const std::string table = inspect_table(inspect(file), true);
  for (const char* part : {"stored as", "conv3_block1_0_bn/moving_variance", "f: safetensors\n",
                           "layer2.0.downsample.1.running_var", "all tensors of ResNet-50"}) {
    CHECK_CONTAINS(table, part);
  }
  const std::string json = inspect_json(inspect(file));
  for (const char* part : {"\"format\": \"safetensors\"", "\"names\": \"Keras\"",
                           "\"stored_name\": \"conv3_block1_0_bn/moving_variance\""}) {
    CHECK_CONTAINS(json, part);
  }
  CHECK_FALSE(contains(inspect_table(inspect(WeightFile(folder / "ours"))), "stored as"));
}

TEST_CASE("deeper networks of other families are recognised") {
  CHECK(our_layer_name(NameFamily::kKeras, "conv4_block23_2_conv") == "layer3.22.conv2");
  CHECK(our_layer_name(NameFamily::kHuggingFace,
                       "encoder.stages.2.layers.22.layer.1.convolution") == "layer3.22.conv2");
  CHECK(our_layer_name(NameFamily::kOldKeras, "res5c_branch2c") == "layer4.2.conv3");
  CHECK(our_layer_name(NameFamily::kOldKeras, "bn2a_branch1") == "layer1.0.downsample.1");
  for (const char* name : {"conv6_block1_1_conv", "conv2_block0_1_conv", "conv2_block1_4_conv",
                           "conv2_block2_0_conv", "res2b_branch1", ""}) {
    CHECK_MESSAGE(our_layer_name(NameFamily::kKeras, name) == "", name);
    CHECK_MESSAGE(our_layer_name(NameFamily::kOldKeras, name) == "", name);
    CHECK_MESSAGE(our_layer_name(NameFamily::kUnknown, name) == "", name);
  }
}

}  // namespace
}  // namespace verace::weights::name_families_test
