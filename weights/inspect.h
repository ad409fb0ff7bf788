// Reports about a weight file for people (a table) and programs (JSON).
#pragma once

#include <string>

#include "weights/model_description.h"
#include "weights/weight_file.h"

namespace verace::weights {

// Lines of text: the format, the tensors (name, what the file calls it where that differs, dtype,
// shape, bytes and, with `statistics`, min, max, mean of
// the finite elements and how many are not finite), totals, metadata, whether the file's checksum
// of itself (safetensors_checksum.h) is right, and the network's findings with their source.
// `description` may be nullptr for a file that is not a ResNet-50. Statistics read the whole file,
// and so does a checksum; without them only the header is touched.
std::string inspect_table(const WeightFile& file, const ModelDescription* description,
                          bool statistics = false);

// The same as a JSON object: file, format, bytes, tensors [...], metadata {...}, checksum "right"
// or "wrong" or null, network {...} or null, findings [...].
std::string inspect_json(const WeightFile& file, const ModelDescription* description,
                         bool statistics = false);

}  // namespace verace::weights
