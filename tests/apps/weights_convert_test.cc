// Conversions: the network that comes out computes the same in every bit, and says all about
// itself.
#include "apps/lib/weights_convert.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <filesystem>
#include <map>

#include "apps/lib/model_file.h"
#include "tests/apps/training_support.h"
#include "tests/support/golden_network.h"
#include "tests/support/renamed_network.h"

namespace verace::apps::weights_convert_test {
namespace {

using test::contains;
using test::input_error;
using test::NamedTensor;
using test::Spelling;
using weights::Dtype;
using weights::Finding;
using weights::Source;
using weights::TensorView;
using weights::WeightFile;

const std::map<std::string, std::string> kKerasHead{{"fc.0", "dense"}, {"fc.2", "dense_1"}};

WeightFile golden(const std::string& stem) {
  return WeightFile(test::golden_path(stem + ".safetensors"));
}

void expect_no_assumption(const weights::ModelDescription& description) {
  for (const Finding& finding : description.findings) {
    CHECK_MESSAGE(finding.source != Source::kAssumption, finding.what);
  }
}

TEST_CASE("a Keras network in either format gives the same network in every bit") {
  const TempFolder folder;
  test::write_named(folder / "keras", test::renamed(golden("keras_v1_narrow"), "weights/",
                                                    Spelling::kKeras, "", kKerasHead));
  const LoadedModel want = load_model(folder / "keras");
  for (const auto to : {WeightsFormat::kSafetensors, WeightsFormat::kPth}) {
    const std::string out = folder / (to == WeightsFormat::kPth ? "a.pth" : "a.safetensors");
    const Converted converted = convert_weights({folder / "keras", out, to, {}, false});
    CHECK(converted.folded_biases == 53);
    CHECK(converted.tensors == 265 + 4);
    CHECK(converted.left_out == 0);
    const LoadedModel got = load_model(out);
    CHECK(snapshot(*got.classifier) == snapshot(*want.classifier));
    CHECK(weights::metadata_of(got.description) == weights::metadata_of(want.description));
    CHECK_FALSE(got.description.conv_bias_present);
    expect_no_assumption(got.description);
  }
}

TEST_CASE("kept biases: every tensor as it was, in both formats") {
  const TempFolder folder;
  const WeightFile want = golden("keras_v1_narrow");
  test::write_named(folder / "keras",
                    test::renamed(want, "weights/", Spelling::kOldKeras, "", kKerasHead));
  for (const auto to : {WeightsFormat::kSafetensors, WeightsFormat::kPth}) {
    const std::string out = folder / (to == WeightsFormat::kPth ? "b.pth" : "b");
    CHECK(convert_weights({folder / "keras", out, to, {}, true}).folded_biases == 0);
    const WeightFile got(out);
    size_t compared = 0;
    for (const TensorView& tensor : want.tensors()) {
      if (!tensor.name.starts_with("weights/")) continue;
      ++compared;
      const std::string name = tensor.name.substr(8);
      REQUIRE_MESSAGE(got.find(name) != nullptr, name);
      CHECK(got.at(name).shape == tensor.shape);
      CHECK_MESSAGE(got.read_f32(name) == want.read_f32(tensor.name), name);
    }
    CHECK(got.tensors().size() == compared);
  }
}

TEST_CASE("there and back: our format, .pth, and ours again are equal byte for byte") {
  const TempFolder folder;
  layers::Classifier classifier(narrow_network(6));
  randomise(classifier, 3);
  save_model(folder / "a.safetensors", classifier);
  convert_weights({folder / "a.safetensors", folder / "b.pth", WeightsFormat::kPth, {}, false});
  convert_weights(
      {folder / "b.pth", folder / "c.safetensors", WeightsFormat::kSafetensors, {}, false});
  CHECK(read_text(folder / "c.safetensors") == read_text(folder / "a.safetensors"));
}

TEST_CASE("half precision stays what it is; counters go along; an optimiser's state does not") {
  const TempFolder folder;
  std::vector<NamedTensor> network =
      test::renamed(golden("torch_v15_narrow"), "weights/", Spelling::kHuggingFace);
  std::vector<weights::TensorToWrite> list;
  std::vector<std::vector<uint16_t>> halves;
  for (NamedTensor& tensor : network) {
    // The upper half of a float is a bfloat16.
    std::vector<uint16_t>& half = halves.emplace_back();
    for (const float value : tensor.values)
      half.push_back(static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16));
    list.emplace_back(tensor.name, tensor.shape, Dtype::kBF16, std::as_bytes(std::span(half)));
  }
  const std::vector<int64_t> counter{1234};
  const std::vector<float> moment{1, 2};
  list.emplace_back("resnet.encoder.stages.1.layers.0.shortcut.normalization.num_batches_tracked",
                    std::vector<int64_t>{}, Dtype::kI64, std::as_bytes(std::span(counter)));
  list.emplace_back("optimizer.m.conv1.weight", std::vector<int64_t>{2}, moment);
  weights::write_safetensors(folder / "f", list,
                             {{"license", "mine"},
                              {"verace.checkpoint", "{}"},
                              {"variant", "v1"},
                              {"verace.threshold", "?"}});
  const Converted converted =
      convert_weights({folder / "f", folder / "g", WeightsFormat::kSafetensors, {}, false});
  CHECK(converted.left_out == 1);
  const WeightFile before(folder / "f"), after(folder / "g");
  CHECK(after.find("optimizer.m.conv1.weight") == nullptr);
  CHECK(after.at("layer2.0.downsample.1.num_batches_tracked").dtype == Dtype::kI64);
  CHECK(static_cast<size_t>(converted.tensors) == after.tensors().size());
  for (const TensorView& tensor : after.tensors()) {
    if (tensor.dtype == Dtype::kI64) continue;
    CHECK(tensor.dtype == Dtype::kBF16);
    CHECK_MESSAGE(after.read_f32(tensor.name) == before.read_f32(tensor.name), tensor.name);
  }
  CHECK(after.metadata().at("license") == "mine");
  CHECK(after.metadata().at("verace.threshold") == "?");
  CHECK(after.metadata().at("verace.variant") == "v1");
  CHECK_FALSE(after.metadata().contains("verace.checkpoint"));
  CHECK_FALSE(after.metadata().contains("variant"));
}

TEST_CASE("overrides are what the new file says") {
  const TempFolder folder;
  test::write_named(folder / "f",
                    test::renamed(golden("torch_v15_narrow"), "weights/", Spelling::kTorchvision));
  weights::Overrides overrides;
  overrides.input_scale = weights::InputScale::kUnit;
  overrides.variant = weights::Variant::kV1;
  convert_weights({folder / "f", folder / "g", WeightsFormat::kSafetensors, overrides, false});
  const weights::ModelDescription d = weights::describe(WeightFile(folder / "g"));
  CHECK(d.input_scale == weights::InputScale::kUnit);
  CHECK(d.variant == weights::Variant::kV1);
  expect_no_assumption(d);
}

TEST_CASE("what cannot be a network is refused, and nothing is written") {
  const TempFolder folder;
  std::vector<NamedTensor> network =
      test::renamed(golden("torch_v15_narrow"), "weights/", Spelling::kTorchvision);
  const auto error = [&] {
    test::write_named(folder / "f", network);
    const std::string text = input_error([&] {
      convert_weights({folder / "f", folder / "g", WeightsFormat::kSafetensors, {}, false});
    });
    CHECK_FALSE(std::filesystem::exists(folder / "g"));
    return text;
  };
  network[7].values[1] = NAN;
  CHECK(contains(error(), "'" + network[7].name + "': 1 of "));
  network.erase(network.begin() + 7);
  CHECK(contains(error(), "1 missing"));
  CHECK(contains(input_error([&] {
                   convert_weights({test::golden_path("ops.safetensors"),
                                    folder / "g",
                                    WeightsFormat::kSafetensors,
                                    {},
                                    false});
                 }),
                 "has no tensor 'conv1.weight'"));
}

}  // namespace
}  // namespace verace::apps::weights_convert_test
