// Reading what Keras 3 saves by default (.keras): a zip with weights as HDF5 and a configuration
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "weights/tensor_table.h"

namespace verace::weights {

// Whether the file is a zip archive, not cut, that holds "model.weights.h5". Never throws.
bool is_keras_archive(std::span<const std::byte> file);

// What parse_keras_hdf5() gives for the member "model.weights.h5" (offsets in its messages count
// from the member's begin). Metadata besides: "keras.model_config" is the member "config.json",
// "keras.version" comes from "metadata.json". Keras writes members uncompressed. Throws
// Error(kInput) with one line for everything that ZipDirectory and parse_keras_hdf5() refuse, and
// for texts that are too long or do not have their checksum.
TensorTable parse_keras_archive(std::span<const std::byte> file, const std::string& path);

}  // namespace verace::weights
