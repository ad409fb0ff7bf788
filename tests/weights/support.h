// Helpers of the weights tests: hand-made files, a tiny ResNet-50.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "tests/support/files.h"
#include "weights/name_map.h"
#include "weights/safetensors.h"
#include "weights/weight_file.h"

namespace verace::weights {

using test::contains;
using test::input_error;
using test::read_text;
using test::TempFolder;
using test::write_text;

// Length prefix + header + data.
inline std::string safetensors_bytes(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string out(sizeof(length), '\0');
  std::memcpy(out.data(), &length, sizeof(length));
  return out + header + std::string(data_bytes, '\x01');
}

#define CHECK_CONTAINS(text, part)                       \
  do {                                                   \
    const std::string the_text = (text);                 \
    CHECK_MESSAGE(contains(the_text, (part)), the_text); \
  } while (false)

// A network with torchvision's names and few channels, changed at will before it is written.
struct TinyNetwork {
  std::vector<ExpectedTensor> tensors;
  std::map<std::string, std::string> metadata;

  explicit TinyNetwork(int64_t classes = 2, int64_t head_hidden = 0, bool conv_bias = false) {
    ModelDescription description;
    description.width = 1.0 / 32;
    description.stem_channels = 2;
    description.classes = classes;
    description.head_hidden = head_hidden;
    description.conv_bias_present = conv_bias;
    tensors = expected_tensors(description);
  }

  ExpectedTensor& at(const std::string& name) {
    for (ExpectedTensor& tensor : tensors) {
      if (tensor.name == name) return tensor;
    }
    throw std::out_of_range(name);
  }

  void remove(const std::string& name) {
    std::erase_if(tensors, [&name](const ExpectedTensor& t) { return t.name == name; });
  }

  WeightFile write(const std::string& path) const {
    std::vector<std::vector<float>> values;
    std::vector<TensorToWrite> list;
    for (const ExpectedTensor& tensor : tensors) {
      size_t count = 1;
      for (const int64_t extent : tensor.shape) count *= static_cast<size_t>(extent);
      values.emplace_back(count, 0.5f);
      list.emplace_back(tensor.name, tensor.shape, values.back());
    }
    write_safetensors(path, list, metadata);
    return WeightFile(path);
  }
};

}  // namespace verace::weights
