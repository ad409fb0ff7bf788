// Classifiers to files and back, published forms of weights, folded convolution biases.
#include "apps/lib/model_file.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "apps/lib/session.h"
#include "tests/apps/training_support.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/golden_network.h"
#include "tests/support/renamed_network.h"
#include "tests/support/tolerances.h"

namespace verace::apps::model_file_test {
namespace {

using weights::TensorToWrite;
using weights::WeightFile;

TEST_CASE("a saved network comes back in every bit") {
  const TempFolder folder;
  for (const int64_t hidden : {int64_t{0}, int64_t{6}}) {
    layers::ClassifierOptions options = narrow_network(hidden);
    options.backbone.variant = engine::Variant::kV1;
    options.backbone.pool = engine::PoolMode::kCeil;
    options.backbone.batch_norm = {1.001e-5, 0.01, engine::RunningVariance::kKeras2};
    options.input_scale = engine::InputScale::kCaffe;
    options.class_names = {"fake", "real"};
    layers::Classifier classifier(options);
    randomise(classifier, 5);
    const std::string path = folder / "model.safetensors";
    save_model(path, classifier);
    const LoadedModel back = load_model(path);
    CHECK(snapshot(*back.classifier) == snapshot(classifier));
    CHECK(weights::metadata_of(back.description) ==
          weights::metadata_of(describe_network(options)));
    for (const weights::Finding& finding : back.description.findings) {
      CHECK_MESSAGE(finding.source != weights::Source::kAssumption, finding.what);
    }
    CHECK(back.classifier->options().backbone.batch_norm.epsilon == 1.001e-5);
    CHECK(class_indices(back.classifier->options(), path).fake == 0);
    save_model(folder / "again.safetensors", *back.classifier);
    CHECK(read_text(folder / "again.safetensors") == read_text(path));
  }
}

TEST_CASE("filters are stored as [out, in, height, width]") {
  const TempFolder folder;
  layers::Classifier classifier(narrow_network());
  randomise(classifier, 1);
  save_model(folder / "m", classifier);
  const WeightFile file(folder / "m");
  CHECK(file.at("conv1.weight").shape == std::vector<int64_t>{4, 3, 7, 7});
  const std::vector<float> stored = file.read_f32("conv1.weight");
  const auto ours = classifier.table().find("conv1")->parameter("weight").value.f32_span();
  // k = 2, c = 1, r = 3, s = 4
  CHECK(stored[((2 * 3 + 1) * 7 + 3) * 7 + 4] == ours[((2 * 7 + 3) * 7 + 4) * 3 + 1]);
}

// The golden network as a file of the form that converters write, biases of convolutions included.
void write_golden_as_model(const std::string& path, bool with_biases) {
  const WeightFile golden(test::golden_path("keras_v1_narrow.safetensors"));
  std::vector<TensorToWrite> tensors;
  for (const weights::TensorView& tensor : golden.tensors()) {
    const std::string prefix = "weights/";
    if (!tensor.name.starts_with(prefix)) continue;
    const std::string name = tensor.name.substr(prefix.size());
    if (!with_biases && weights::is_conv_bias_name(name)) continue;
    tensors.emplace_back(name, tensor.shape, tensor.dtype, tensor.bytes);
  }
  weights::write_safetensors(path, tensors,
                             {{"verace.variant", "v1"},
                              {"verace.input_scale", "caffe"},
                              {"verace.bn_epsilon", "1.001e-5"},
                              {"verace.input_size", "64"},
                              {"verace.head_slope", "0.05"}});
}

test::Comparison keras_logits(const std::string& path) {
  const WeightFile golden(test::golden_path("keras_v1_narrow.safetensors"));
  const LoadedModel model = load_model(path);
  InferenceSession session(*model.classifier, kernels::make_exec(kernels::DeviceKind::kCpu, 1),
                           std::make_shared<engine::Arena>());
  const Answers answers = session.run_unit(golden.read_f32("input"));
  const std::vector<float> want = golden.read_f32("eval/logits");
  double largest = 0;
  for (const float value : want) largest = std::max(largest, std::abs(static_cast<double>(value)));
  return test::compare(answers.logits, want, test::tolerance(test::OpClass::kNetwork, 53, largest));
}

TEST_CASE("a Keras network with convolution biases gives Keras' logits") {
  const TempFolder folder;
  write_golden_as_model(folder / "with", true);
  write_golden_as_model(folder / "without", false);
  test::expect_ok("folded biases", keras_logits(folder / "with"));
  test::expect_caught("biases left out", keras_logits(folder / "without"));
  // Folded once and for all: what is saved has no biases and the same function.
  const LoadedModel model = load_model(folder / "with");
  CHECK(model.description.conv_bias_present);
  save_model(folder / "folded", *model.classifier);
  CHECK_FALSE(load_model(folder / "folded").description.conv_bias_present);
  test::expect_ok("saved again", keras_logits(folder / "folded"));
}

// The same network under Keras' names as a full model keeps it: what the network is stands in its
// configuration alone.
void write_golden_as_keras(const std::string& path, test::Spelling spelling, double slope) {
  const bool old = spelling == test::Spelling::kOldKeras;
  std::string layers = R"({"class_name": "InputLayer", "config": {"name": "i",
    "batch_input_shape": [null, 64, 64, 3]}}, {"class_name": "BatchNormalization", "config": {"name":
    "b", "epsilon": 1.001e-05, "momentum": 0.99}}, {"class_name": "Conv2D", "config": {"name": "NAME",
    "strides": [2, 2]}}, {"class_name": "Dense", "config": {"name": "a", "activation": "linear"}},
    {"class_name": "LeakyReLU", "config": {"name": "l", "alpha": SLOPE}}, {"class_name": "Dense",
    "config": {"name": "c", "activation": "softmax"}})";
  const auto replace = [&layers](const std::string& what, const std::string& by) {
    layers.replace(layers.find(what), what.size(), by);
  };
  replace("NAME", old ? "res3a_branch2a" : "conv3_block1_1_conv");
  replace("SLOPE", std::to_string(slope));
  const WeightFile golden(test::golden_path("keras_v1_narrow.safetensors"));
  test::write_named(
      path,
      test::renamed(golden, "weights/", spelling, "", {{"fc.0", "dense"}, {"fc.2", "dense_1"}}),
      {{"keras.model_config", "{\"config\": {\"layers\": [" + layers + "]}}"}});
}

TEST_CASE("Keras' own names, layouts and configuration give Keras' logits, bit for bit the same") {
  const TempFolder folder;
  write_golden_as_model(folder / "ours", true);
  const auto logits = [&](const std::string& path) {
    const LoadedModel model = load_model(path);
    CHECK(model.description.conv_bias_present);
    InferenceSession session(*model.classifier, kernels::make_exec(kernels::DeviceKind::kCpu, 1),
                             std::make_shared<engine::Arena>());
    const WeightFile golden(test::golden_path("keras_v1_narrow.safetensors"));
    return session.run_unit(golden.read_f32("input")).logits;
  };
  const std::vector<float> want = logits(folder / "ours");
  REQUIRE(want.size() == 12);
  for (const auto spelling : {test::Spelling::kKeras, test::Spelling::kOldKeras}) {
    write_golden_as_keras(folder / "keras", spelling, 0.05);
    test::expect_ok("Keras' logits", keras_logits(folder / "keras"));
    CHECK(logits(folder / "keras") == want);
    write_golden_as_keras(folder / "other", spelling, 0.06);
    test::expect_caught("another slope of the head", keras_logits(folder / "other"));
  }
}

TEST_CASE("PyTorch's network under Hugging Face's names gives bit for bit the same logits") {
  const TempFolder folder;
  const WeightFile golden(test::golden_path("torch_v15_narrow.safetensors"));
  const std::map<std::string, std::string> metadata{{"verace.input_size", "64"},
                                                    {"verace.head_slope", "0.05"}};
  const auto logits = [&](test::Spelling spelling) {
    test::write_named(folder / "f", test::renamed(golden, "weights/", spelling), metadata);
    const LoadedModel model = load_model(folder / "f");
    InferenceSession session(*model.classifier, kernels::make_exec(kernels::DeviceKind::kCpu, 1),
                             std::make_shared<engine::Arena>());
    return session.run_unit(golden.read_f32("input")).logits;
  };
  const std::vector<float> got = logits(test::Spelling::kHuggingFace);
  CHECK(got == logits(test::Spelling::kTorchvision));
  const std::vector<float> want = golden.read_f32("eval/logits");
  double largest = 0;
  for (const float value : want) largest = std::max(largest, std::abs(static_cast<double>(value)));
  test::expect_ok("PyTorch's logits",
                  test::compare(got, want, test::tolerance(test::OpClass::kNetwork, 53, largest)));
}

TEST_CASE("a backbone gets a new head") {
  const TempFolder folder;
  layers::Classifier classifier(narrow_network(0));
  randomise(classifier, 2);
  save_model(folder / "m", classifier);
  const HeadOptions head{.hidden = 7, .slope = 0.1, .seed = 3, .input_size = 48};
  weights::Overrides of_the_old_head;
  of_the_old_head.head_slope = 0.5;
  const LoadedModel model = load_backbone(folder / "m", of_the_old_head, head);
  CHECK(model.classifier->options().head_hidden == 7);
  CHECK(model.classifier->options().head_slope == 0.1);
  CHECK(model.classifier->options().input_size == 48);
  const auto before = snapshot(classifier), after = snapshot(*model.classifier);
  CHECK(std::equal(before.begin(), before.end() - 2, after.begin()));
  CHECK(after[after.size() - 4].first == "fc.0.weight");
  const LoadedModel again = load_backbone(folder / "m", {}, head);
  CHECK(snapshot(*again.classifier) == after);
  HeadOptions other = head;
  other.seed = 4;
  CHECK(snapshot(*load_backbone(folder / "m", {}, other).classifier) != after);
  // What the file says of a head that is replaced is no reason to refuse it.
  StoredNetwork odd = stored_network(classifier);
  odd.metadata["verace.class_names"] = "[\"one\"]";
  odd.metadata["verace.head_hidden"] = "5";
  weights::write_safetensors(folder / "odd", odd.tensors, odd.metadata);
  CHECK(contains(input_error([&] { load_model(folder / "odd"); }), "verace.head_hidden"));
  CHECK(snapshot(*load_backbone(folder / "odd", {}, head).classifier) == after);
}

TEST_CASE("overrides and refusals name file and flag") {
  const TempFolder folder;
  layers::Classifier classifier(narrow_network());
  save_model(folder / "m", classifier);
  weights::Overrides other;
  other.variant = engine::Variant::kV1;
  CHECK(contains(input_error([&] { load_model(folder / "m", other); }), "--variant"));
  other.force = true;
  const LoadedModel forced = load_model(folder / "m", other);
  CHECK(forced.classifier->options().backbone.variant == engine::Variant::kV1);
  CHECK(contains(input_error([&] { load_model(folder / "none"); }), "none"));

  StoredNetwork headless = stored_network(classifier);
  headless.tensors.erase(headless.tensors.end() - 4, headless.tensors.end());
  headless.metadata.erase("verace.head_hidden");
  headless.metadata.erase("verace.head_slope");
  headless.metadata.erase("verace.class_names");
  weights::write_safetensors(folder / "headless", headless.tensors, headless.metadata);
  CHECK(contains(input_error([&] { load_model(folder / "headless"); }), "without a head"));
  CHECK(load_backbone(folder / "headless", {}, {}).classifier->options().classes == 2);
}

TEST_CASE("which output means fake") {
  layers::ClassifierOptions options = narrow_network();
  CHECK(class_indices(options, "m").fake == 1);
  options.class_names.clear();
  CHECK(class_indices(options, "m").fake == 1);
  options.class_names = {"fake", "real"};
  CHECK(class_indices(options, "m").real == 1);
  options.class_names = {"cat", "dog"};
  CHECK(contains(input_error([&] { class_indices(options, "m.safetensors"); }), "m.safetensors"));
  options.classes = 1000;
  options.class_names.clear();
  CHECK(contains(input_error([&] { class_indices(options, "m"); }), "1000 classes"));
}

}  // namespace
}  // namespace verace::apps::model_file_test
