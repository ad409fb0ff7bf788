// Which tensor of a Keras layer is what: by order and shapes
#pragma once

#include <span>
#include <string>
#include <vector>

#include "weights/hdf5/cursor.h"
#include "weights/hdf5/dataset.h"
#include "weights/tensor_table.h"

namespace verace::weights::hdf5 {

struct KerasWeight {
  std::string stored_name;  // its path inside of the file
  Dataset dataset;
};

// Appends the weights of the layer `layer`, in its order, as tensors "LAYER/KIND". Throws
// Error(kInput), naming the layer and its shapes, for kinds of layers that ResNet-50 does not have.
void append_layer(const Source& source, const std::string& layer,
                  std::span<const KerasWeight> weights, std::vector<TensorView>& tensors);

}  // namespace verace::weights::hdf5
