// Keras' HDF5 files: every value of every tensor, for each version of Keras and layout.
#include <set>

#include "tests/weights/keras_files.h"

namespace verace::weights::keras_hdf5_test {
namespace {

const TensorView* find(const TensorTable& table, const std::string& name) {
  for (const TensorView& tensor : table.tensors) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

const TensorView& at(const TensorTable& table, const std::string& name) {
  const TensorView* found = find(table, name);
  REQUIRE_MESSAGE(found != nullptr, name);
  return *found;
}

std::set<std::string> names(const TensorTable& table) {
  std::set<std::string> all;
  for (const TensorView& tensor : table.tensors) all.insert(tensor.name);
  CHECK(all.size() == table.tensors.size());
  return all;
}

std::string metadata(const TensorTable& table, const std::string& key) {
  const auto found = table.metadata.find(key);
  return found == table.metadata.end() ? "(none)" : found->second;
}

void check_values(const TensorTable& table) {
  CHECK_FALSE(table.tensors.empty());
  for (const TensorView& tensor : table.tensors) {
    CHECK_MESSAGE(wrong_elements(tensor) == 0, tensor.name);
    CHECK(tensor.is_dense());
  }
}

void add_kernel(std::map<std::string, std::vector<int64_t>>& all, const std::string& layer,
                const std::vector<int64_t>& shape) {
  all[layer + "/kernel"] = shape;
  all[layer + "/bias"] = {shape.back()};
}

void add_norm(std::map<std::string, std::vector<int64_t>>& all, const std::string& layer,
              int64_t channels) {
  for (const char* kind : {"gamma", "beta", "moving_mean", "moving_variance"}) {
    all[layer + "/" + kind] = {channels};
  }
}

constexpr int64_t kInner[] = {2, 4, 8, 16};
constexpr int kBlocks[] = {3, 4, 6, 3};

// Names and shapes of ResNet-50 at width 1/32 as resnet_common.py and Keras 3 spell them.
std::map<std::string, std::vector<int64_t>> new_shapes() {
  std::map<std::string, std::vector<int64_t>> all;
  add_kernel(all, "conv1_conv", {7, 7, 3, 2});
  add_norm(all, "conv1_bn", 2);
  int64_t channels = 2;
  for (int stage = 0; stage < 4; ++stage) {
    const int64_t inner = kInner[stage];
    for (int block = 1; block <= kBlocks[stage]; ++block) {
      const std::string name =
          "conv" + std::to_string(stage + 2) + "_block" + std::to_string(block) + "_";
      if (block == 1) {
        add_kernel(all, name + "0_conv", {1, 1, channels, 4 * inner});
        add_norm(all, name + "0_bn", 4 * inner);
      }
      add_kernel(all, name + "1_conv", {1, 1, channels, inner});
      add_norm(all, name + "1_bn", inner);
      add_kernel(all, name + "2_conv", {3, 3, inner, inner});
      add_norm(all, name + "2_bn", inner);
      add_kernel(all, name + "3_conv", {1, 1, inner, 4 * inner});
      add_norm(all, name + "3_bn", 4 * inner);
      channels = 4 * inner;
    }
  }
  return all;
}

// The same as resnet50.py spells them.
std::map<std::string, std::vector<int64_t>> old_shapes() {
  std::map<std::string, std::vector<int64_t>> all;
  add_kernel(all, "conv1", {7, 7, 3, 2});
  add_norm(all, "bn_conv1", 2);
  int64_t channels = 2;
  for (int stage = 0; stage < 4; ++stage) {
    const int64_t inner = kInner[stage];
    for (int block = 0; block < kBlocks[stage]; ++block) {
      const std::string place =
          std::to_string(stage + 2) + static_cast<char>('a' + block) + "_branch";
      const auto add = [&](const char* branch, const std::vector<int64_t>& shape) {
        add_kernel(all, "res" + place + branch, shape);
        add_norm(all, "bn" + place + branch, shape.back());
      };
      add("2a", {1, 1, channels, inner});
      add("2b", {3, 3, inner, inner});
      add("2c", {1, 1, inner, 4 * inner});
      if (block == 0) add("1", {1, 1, channels, 4 * inner});
      channels = 4 * inner;
    }
  }
  return all;
}

void check_shapes(const TensorTable& table,
                  const std::map<std::string, std::vector<int64_t>>& want) {
  std::set<std::string> want_names;
  for (const auto& [name, shape] : want) {
    want_names.insert(name);
    CHECK_MESSAGE(at(table, name).shape == shape, name);
  }
  CHECK(names(table) == want_names);
}

const std::set<std::string> kTinyNames = {"conv1/kernel",         "conv1/bias",
                                          "bn_conv1/gamma",       "bn_conv1/beta",
                                          "bn_conv1/moving_mean", "bn_conv1/moving_variance"};

TEST_CASE("keras: the old names, without top, strings of fixed length") {
  const std::string file = keras_file("keras1_notop.h5");
  const TensorTable table = parse_keras(file);
  check_shapes(table, old_shapes());
  check_values(table);
  CHECK(at(table, "conv1/kernel").stored_name == "/conv1/conv1_W:0");
  CHECK(at(table, "bn_conv1/moving_variance").stored_name == "/bn_conv1/bn_conv1_running_std:0");
  CHECK(metadata(table, "keras.root") == "/");
  CHECK(metadata(table, "keras.version") == "(none)");
  CHECK(metadata(table, "keras.model_config") == "(none)");
  CHECK(table.tensors.front().name == "conv1/kernel");  // in the order of layer_names
}

TEST_CASE("keras: a whole model of Keras 3 with its top and its configuration") {
  const std::string file = keras_file("keras3_full.h5");
  const TensorTable table = parse_keras(file);
  // 175 layers: the tree of their names has two levels, the root's attributes several blocks.
  CHECK(file.find(std::string("TREE\0\1", 6)) != std::string::npos);
  auto want = new_shapes();
  add_kernel(want, "predictions", {64, 10});
  check_shapes(table, want);
  check_values(table);
  CHECK(at(table, "conv1_conv/kernel").stored_name ==
        "/model_weights/conv1_conv/conv1_conv/kernel");
  CHECK(metadata(table, "keras.root") == "/model_weights");
  CHECK(metadata(table, "keras.backend") == "tensorflow");
  CHECK(metadata(table, "keras.version").starts_with("3."));
  const std::string config = metadata(table, "keras.model_config");
  CHECK(config.starts_with("{\"class_name\": \"Functional\""));
  CHECK(config.ends_with("}"));
  CHECK_CONTAINS(config, "\"epsilon\": 1.001e-05");
}

TEST_CASE("keras: weights of Keras 2") {
  const std::string file = keras_file("keras2_stem.h5");
  const TensorTable table = parse_keras(file);
  check_values(table);
  CHECK(table.tensors.size() == 5 * (2 + 4));
  CHECK(at(table, "conv1_bn/moving_mean").stored_name == "/conv1_bn/conv1_bn/moving_mean:0");
  CHECK(metadata(table, "keras.version").starts_with("2."));
  CHECK(metadata(table, "keras.backend") == "tensorflow");
  CHECK(metadata(table, "keras.root") == "/");
}

TEST_CASE("keras: a model inside of a model, partly frozen, in three layouts") {
  const std::string stored[] = {"keras2_nested.h5", "keras3_nested.h5", "keras3_nested.weights.h5"};
  const std::string roots[] = {"/model_weights", "/model_weights", "/layers"};
  std::set<std::string> first;
  for (size_t i = 0; i < 3; ++i) {
    CAPTURE(stored[i]);
    const std::string file = keras_file(stored[i]);
    const TensorTable table = parse_keras(file);
    check_values(table);
    CHECK(table.tensors.size() == 5 * (2 + 4) + 2);
    CHECK(at(table, "head/kernel").shape == std::vector<int64_t>{8, 2});
    CHECK(at(table, "conv2_block1_2_conv/kernel").shape == std::vector<int64_t>{3, 3, 2, 2});
    CHECK(metadata(table, "keras.root") == roots[i]);
    if (i == 0) first = names(table);
    CHECK(names(table) == first);
  }
}

TEST_CASE("keras: names in parts, compact values, kernels without bias, other float types") {
  for (const char* name :
       {"tiny.h5", "split_names.h5", "compact.h5", "kernels_only.h5", "float16.h5", "float64.h5"}) {
    CAPTURE(name);
    const std::string file = keras_file(name);
    check_values(parse_keras(file));
  }
  const std::string tiny = keras_file("tiny.h5");
  CHECK(names(parse_keras(tiny)) == kTinyNames);
  CHECK(metadata(parse_keras(tiny), "keras.version") == "2.1.6");
  CHECK(metadata(parse_keras(tiny), "keras.backend") == "tensorflow");
  const std::string split = keras_file("split_names.h5");
  CHECK(names(parse_keras(split)) == kTinyNames);
  const std::string kernels = keras_file("kernels_only.h5");
  CHECK(names(parse_keras(kernels)) == std::set<std::string>{"conv1/kernel", "dense/kernel"});
  const std::string half = keras_file("float16.h5");
  CHECK(at(parse_keras(half), "conv1/kernel").dtype == Dtype::kF16);
  const std::string wide = keras_file("float64.h5");
  CHECK(at(parse_keras(wide), "conv1/kernel").dtype == Dtype::kF64);
}

TEST_CASE("keras: values are views of the file, not copies") {
  const std::string file = keras_file("tiny.h5");
  const auto bytes = std::as_bytes(std::span(file));
  for (const TensorView& tensor : parse_keras(file).tensors) {
    CHECK(tensor.bytes.data() >= bytes.data());
    CHECK(tensor.bytes.data() + tensor.bytes.size() <= bytes.data() + bytes.size());
  }
}

}  // namespace
}  // namespace verace::weights::keras_hdf5_test
