// Reading weights that Keras wrote as HDF5 (.h5), also the fuzzers' entry
//
// Two layouts. Of all Keras versions, by save_weights('x.h5') and, under /model_weights, by
// model.save('x.h5'): the attribute layer_names lists groups, the attribute weight_names of each
// lists its datasets. Of Keras 3 only, by save_weights('x.weights.h5'): groups layers/*/vars hold
// datasets 0, 1, 2 ... and the layer's name as an attribute.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "weights/tensor_table.h"

namespace verace::weights {

// Tensors "LAYER/KIND", shapes as stored (convolutions [h, w, in, out], dense layers [in, out]),
// stored_name the path inside of the file. KIND follows from the order and the shapes of a layer's
// tensors, never from their names, which differ between versions:
//   4 vectors of one length              gamma, beta, moving_mean, moving_variance
//   rank 4, perhaps a vector [out]       kernel, bias
//   rank 2, perhaps a vector [out]       kernel, bias
// A layer that is a model itself (transfer learning) is taken apart: its weights' names begin with
// the names of its own layers.
//
// Metadata, each where the file has it: "keras.version", "keras.backend", "keras.model_config"
// (JSON); always "keras.root": "/", "/model_weights", or "/layers" for the layout of Keras 3.
//
// Allocates in proportion to what the file holds, never to what it claims; the work is limited by
// hdf5::kMaxSteps. Throws Error(kInput) with one line (what does not fit, where, what to do) for
// everything that is damaged, and for everything outside of the profile that Keras writes, by its
// name: chunked, compressed, virtual and external datasets, soft and external links, files with
// h5py's libver='latest', types other than IEEE floats; layers that are none of the above, layers
// without gamma or beta; names that appear twice, tensors that overlap.
TensorTable parse_keras_hdf5(std::span<const std::byte> file, const std::string& path);

}  // namespace verace::weights
