// Names of layers, of their groups, and which layer lies in which.
#include "engine/layer_names.h"

#include <doctest/doctest.h>

#include <utility>

namespace verace::engine::layer_names_test {
namespace {

using Names = std::vector<std::string>;

TEST_CASE("a layer lies in itself and in the groups that its dots make") {
  for (const char* group : {"layer1", "layer1.0", "layer1.0.conv1"}) {
    CHECK(lies_in("layer1.0.conv1", group));
  }
  for (const char* group :
       {"layer", "layer1.", "layer1.0.conv", "layer1.0.conv1.weight", "conv1", "layer2", "0", ""}) {
    CHECK_FALSE(lies_in("layer1.0.conv1", group));
  }
  CHECK_FALSE(lies_in("layer10.0", "layer1"));
}

TEST_CASE("names of a table are torchvision's and, where there are any, Keras'") {
  LayerTable table;
  const auto add = [&table](const char* name, const char* keras_name) {
    Layer layer;
    layer.name = name;
    layer.keras_name = keras_name;
    table.add(std::move(layer));
  };
  add("conv1", "conv1_conv");
  add("layer1.0.bn1", "conv2_block1_1_bn");
  add("fc.0", "");
  CHECK(layer_names(table) ==
        Names{"conv1", "conv1_conv", "layer1.0.bn1", "conv2_block1_1_bn", "fc.0"});
}

TEST_CASE("every group stands before its names") {
  CHECK(with_groups({"conv1", "layer1.0.bn1", "fc.0"}) ==
        Names{"conv1", "layer1", "layer1.0", "layer1.0.bn1", "fc", "fc.0"});
  CHECK(with_groups({}).empty());
}

}  // namespace
}  // namespace verace::engine::layer_names_test
