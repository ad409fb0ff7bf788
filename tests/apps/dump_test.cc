// A dump of the golden networks: true values against PyTorch and Keras, between devices, and
// against the formulas that connect one tensor with the next.
#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "apps/lib/dump/dump.h"
#include "optim/freeze.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/files.h"
#include "tests/support/golden_network.h"
#include "tests/support/npy.h"
#include "tests/support/tolerances.h"

namespace verace::apps::dump_test {
namespace {

using test::OpClass;

constexpr int64_t kDepth = 53;

struct Array {
  std::vector<float> values;
  DumpedTensor row;
};
using Arrays = std::map<std::string, Array>;  // by tensor

LabelledPictures pictures_of(const test::Golden& g) {
  return {static_cast<int64_t>(g.labels.size()), g.input, g.labels, {}};
}

// Runs it and reads back what was written, not what was in memory.
Arrays dump(layers::Classifier& network, const kernels::Exec& exec,
            const LabelledPictures& pictures, DumpOptions options) {
  const test::TempFolder folder;
  options.pictures = false;
  Dump work(network, exec, pictures, options);
  Arrays arrays;
  int64_t bytes = 0, last = -1;
  for (const DumpedTensor& row : work.run(folder.path())) {
    const test::NpyArray array = test::read_npy((folder / row.npy).string());
    CHECK(array.shape == row.tensor.shape);
    bytes += static_cast<int64_t>(std::filesystem::file_size(folder / row.npy));
    CHECK(row.tensor.operation >= last);
    last = row.tensor.operation;
    CHECK_MESSAGE(arrays.emplace(row.tensor.name, Array{array.values, row}).second,
                  "twice: ", row.tensor.name);
  }
  CHECK(bytes == work.npy_bytes());
  return arrays;
}

test::Comparison compare_network(std::span<const float> got, std::span<const float> want,
                                 OpClass op) {
  double largest = 0;
  for (const float v : want) largest = std::max(largest, static_cast<double>(std::abs(v)));
  return test::compare(got, want, test::tolerance(op, kDepth, largest), 0.85);
}

const std::vector<float>& at(const Arrays& arrays, const std::string& name) {
  const auto found = arrays.find(name);
  REQUIRE_MESSAGE(found != arrays.end(), name);
  return found->second.values;
}

constexpr const char* kStages[4][2] = {{"layer1.2.conv3 output", "layer1"},
                                       {"layer2.3.conv3 output", "layer2"},
                                       {"layer3.5.conv3 output", "layer3"},
                                       {"layer4.2.conv3 output", "layer4"}};

void check_training(const test::Golden& g) {
  test::for_each_host_device([&](const kernels::Exec& exec) {
    auto network = g.make();
    const Arrays arrays = dump(*network, exec, pictures_of(g), {});
    CHECK(at(arrays, "pictures") == g.input);
    for (const auto& [ours, theirs] : kStages) {
      const std::vector<float> want = g.train.read_f32(std::string("train/") + theirs);
      test::expect_ok(theirs, compare_network(at(arrays, ours), want, OpClass::kNetwork));
    }
    for (const engine::Parameter* parameter : network->table().trainable_parameters()) {
      const Array& got = arrays.at(parameter->name + " gradient");
      CHECK(got.row.tensor.kind == TensorKind::kParameterGradient);
      CHECK(got.row.tensor.gradient_of == parameter->name);
      test::expect_ok(
          parameter->name,
          compare_network(got.values, test::golden_parameter(g.train, "grad/" + parameter->name),
                          OpClass::kNetworkGradient));
    }
  });
}

// y = max(0, (z - mean) * inv_std * gamma + beta + shortcut), from the dumped z, mean and inv_std.
test::Comparison normalised(const layers::Classifier& network, const Arrays& arrays,
                            const std::string& conv, const std::string& bn,
                            const std::string& shortcut) {
  const std::vector<float>& z = at(arrays, conv + " z");
  const std::vector<float>& y = at(arrays, conv + " output");
  const std::vector<float>& mean = at(arrays, bn + " mean");
  const std::vector<float>& inv = at(arrays, bn + " inv_std");
  const engine::Layer& layer = *network.table().find(bn);
  const auto gamma = layer.parameter("weight").value.f32_span();
  const auto beta = layer.parameter("bias").value.f32_span();
  std::vector<double> want(z.size());
  double largest = 0;
  for (size_t i = 0; i < z.size(); ++i) {
    const size_t c = i % mean.size();
    want[i] = (static_cast<double>(z[i]) - mean[c]) * inv[c] * gamma[c] + beta[c];
    if (!shortcut.empty()) want[i] += at(arrays, shortcut)[i];
    largest = std::max(largest, std::abs(want[i]));
    if (!conv.ends_with("downsample.0")) want[i] = std::max(want[i], 0.0);
  }
  return test::compare(y, want, test::tolerance(OpClass::kNormalisation, 1, largest), 0.85);
}

}  // namespace

TEST_CASE("dump, training: stages and every parameter's gradient are PyTorch's and Keras'") {
  check_training(test::open_torch_golden());
  check_training(test::open_keras_golden());
}

TEST_CASE("dump, inference: stages and the pictures' gradient are PyTorch's") {
  const test::Golden g = test::open_torch_golden();
  test::for_each_host_device([&](const kernels::Exec& exec) {
    auto network = g.make();
    const Arrays arrays = dump(*network, exec, pictures_of(g), {.mode = DumpMode::kInference});
    for (const auto& [ours, theirs] : kStages) {
      const std::vector<float> want = g.model.read_f32(std::string("eval/") + theirs);
      test::expect_ok(theirs, compare_network(at(arrays, ours), want, OpClass::kNetwork));
    }
    const Array& dx = arrays.at("dx");
    CHECK(dx.row.tensor.gradient_of == "pictures");
    test::expect_ok("dx", compare_network(dx.values, g.attack.read_f32("input_gradient"),
                                          OpClass::kNetworkGradient));
    test::expect_ok("logits", compare_network(at(arrays, "fc.2 output"),
                                              g.model.read_f32("eval/logits"), OpClass::kNetwork));
  });
}

TEST_CASE("dump: every tensor agrees with the reference device's") {
  const test::Golden g = test::open_torch_golden();
  for (const DumpMode mode : {DumpMode::kTraining, DumpMode::kInference}) {
    auto ours = g.make(), theirs = g.make();
    const Arrays got =
        dump(*ours, kernels::make_exec(kernels::DeviceKind::kCpu), pictures_of(g), {.mode = mode});
    const Arrays want = dump(*theirs, kernels::make_exec(kernels::DeviceKind::kReference),
                             pictures_of(g), {.mode = mode});
    CHECK(got.size() == want.size());
    CHECK(got.size() > (mode == DumpMode::kTraining ? 500 : 180));
    for (const auto& [name, array] : want) {
      const TensorKind kind = array.row.tensor.kind;
      const bool forward = kind == TensorKind::kActivation || kind == TensorKind::kStatistic;
      double largest = 0;
      for (const float v : array.values) {
        largest = std::max(largest, static_cast<double>(std::abs(v)));
      }
      // Winners of pooling and ReLUs leave many zeros.
      test::expect_ok(name, test::compare(at(got, name), array.values,
                                          test::tolerance(forward ? OpClass::kNetwork
                                                                  : OpClass::kNetworkGradient,
                                                          kDepth, largest),
                                          0.97));
    }
  }
}

TEST_CASE("dump: no activation is another's, although the step reuses its memory") {
  const test::Golden g = test::open_torch_golden();
  auto network = g.make();
  Arrays arrays = dump(*network, {}, pictures_of(g), {});
  int units = 0;
  std::string block_input = "maxpool output";
  for (const auto& layer : network->table().layers()) {
    const size_t conv = layer->name.rfind("conv");
    if (layer->name.find("downsample") != std::string::npos || conv == std::string::npos) continue;
    const std::string bn = std::string(layer->name).replace(conv, 4, "bn");
    std::string shortcut;
    if (layer->name.ends_with("conv3")) {
      const std::string projection = layer->name.substr(0, conv) + "downsample.";
      const bool projects = network->table().find(projection + "0") != nullptr;
      shortcut = projects ? projection + "0 output" : block_input;
      if (projects) {
        test::expect_ok(projection,
                        normalised(*network, arrays, projection + "0", projection + "1", ""));
        ++units;
      }
      block_input = layer->name + " output";
    }
    test::expect_ok(layer->name, normalised(*network, arrays, layer->name, bn, shortcut));
    ++units;
  }
  CHECK(units == 53);
  // The comparison can fail.
  arrays.at("layer2.1.conv2 output").values = arrays.at("layer2.2.conv2 output").values;
  test::expect_caught("the output of another layer",
                      normalised(*network, arrays, "layer2.1.conv2", "layer2.1.bn2", ""));
}

TEST_CASE("dump: where a value forks, the sum of the contributions is there") {
  const test::Golden g = test::open_torch_golden();
  auto network = g.make();
  const Arrays arrays = dump(*network, {}, pictures_of(g), {});
  std::map<std::string, std::vector<double>> sums;
  std::map<std::string, int> contributions;
  for (const auto& [name, array] : arrays) {
    const ListedTensor& t = array.row.tensor;
    if (t.kind != TensorKind::kGradient || !t.contributions.empty()) continue;
    REQUIRE_FALSE(t.gradient_of.empty());
    std::vector<double>& sum = sums[t.gradient_of];
    sum.resize(array.values.size(), 0.0);
    CHECK(sum.size() == at(arrays, t.gradient_of).size());
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += array.values[i];
    ++contributions[t.gradient_of];
  }
  int forks = 0;
  for (const auto& [of, count] : contributions) {
    CHECK(arrays.contains(of + " gradient") == (count > 1));
    if (count == 1) continue;
    CHECK(count == 2);
    ++forks;
    std::vector<float> rounded(sums[of].begin(), sums[of].end());
    CHECK(at(arrays, of + " gradient") == rounded);
  }
  CHECK(forks == 16);  // the input of every block
}

TEST_CASE("dump: what is frozen has no gradient, and its batch norm is folded") {
  const test::Golden g = test::open_torch_golden();
  auto network = g.make();
  optim::freeze(network->table(), "keras:15");
  const Arrays arrays = dump(*network, {}, pictures_of(g), {});
  CHECK_FALSE(arrays.contains("conv1.weight gradient"));
  CHECK_FALSE(arrays.contains("conv1 z"));
  CHECK_FALSE(arrays.contains("conv1 dx"));
  CHECK(arrays.contains("conv1 output"));
  CHECK_FALSE(arrays.contains("layer1.0.conv3.weight gradient"));
  CHECK(arrays.contains("layer1.0.bn3.weight gradient"));
  CHECK(arrays.contains("layer1.1.conv1.weight gradient"));
}

TEST_CASE("dump: a layer, a group, and names that are none") {
  const test::Golden g = test::open_torch_golden();
  auto network = g.make();
  const auto names = [&](const std::string& layer, DumpMode mode) {
    std::string all;
    for (const auto& [name, array] :
         dump(*network, {}, pictures_of(g), {.mode = mode, .layer = layer})) {
      all += name + ";";
    }
    return all;
  };
  const std::string want = "layer1.0.conv2 dx;layer1.0.conv2 z;layer1.0.conv2.weight gradient;";
  CHECK(names("layer1.0.conv2", DumpMode::kTraining) == want);
  CHECK(names("conv2_block1_2_conv", DumpMode::kTraining) == want);
  CHECK(names("bn1", DumpMode::kTraining) ==
        "bn1 dx;bn1 inv_std;bn1 mean;bn1.bias gradient;bn1.weight gradient;conv1 output;");
  CHECK(names("maxpool", DumpMode::kTraining) ==
        "maxpool dx;maxpool output;maxpool output gradient;");
  CHECK(names("conv1", DumpMode::kInference) == "conv1 dx;conv1 dz;conv1 output;");
  const std::string group = names("layer1.1", DumpMode::kTraining);
  CHECK(group.find("layer1.1.conv3 output") != std::string::npos);
  CHECK(group.find("layer1.0.conv1 ") == std::string::npos);
  CHECK(test::contains(
      test::input_error([&] { names("layer1.0.conv4", DumpMode::kTraining); }),
      "--layer layer1.0.conv4: no layer has this name; did you mean layer1.0.conv1"));
  CHECK(test::contains(test::input_error([&] { names("layer", DumpMode::kTraining); }),
                       "did you mean layer1, layer2 or layer3?"));
  CHECK(test::contains(test::input_error([&] { names("bn1", DumpMode::kInference); }),
                       "--layer bn1: is folded"));
}

}  // namespace verace::apps::dump_test
