// Names of layers and of the groups that their dots make: "layer1.0.conv1" lies in "layer1.0" and
// "layer1".
#pragma once

#include <string>
#include <vector>

#include "engine/layer_table.h"

namespace verace::engine {

// True if `layer` is `group`, or a layer inside of it: "layer1.0.conv1" of "layer1", which
// "layer10.0" is not.
bool lies_in(const std::string& layer, const std::string& group);

// torchvision's and Keras' names of all layers, each torchvision's before its Keras name, in the
// order of the network.
std::vector<std::string> layer_names(const LayerTable& table);

// `names`, and before each the groups in which it lies; a group is there once for every name.
std::vector<std::string> with_groups(const std::vector<std::string>& names);

}  // namespace verace::engine
