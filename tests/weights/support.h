// Helpers of the weights tests: temporary folders, hand-made files, expected errors, a tiny
// ResNet-50.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "kernels/check.h"
#include "weights/name_map.h"
#include "weights/safetensors.h"

namespace verace::weights {

// A folder of its own, removed at the end.
class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "verace-test-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      out.push_back(entry.path().filename().string());
    }
    return out;
  }

 private:
  std::string path_;
};

inline std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

// Length prefix + header + data.
inline std::string safetensors_bytes(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string out(sizeof(length), '\0');
  std::memcpy(out.data(), &length, sizeof(length));
  return out + header + std::string(data_bytes, '\x01');
}

// Runs `action`, which must throw Error(kInput) with a message of one line; returns the message.
template <typename Action>
std::string input_error(Action action) {
  try {
    action();
  } catch (const Error& error) {
    const std::string message = error.what();
    CHECK_MESSAGE(error.kind() == ErrorKind::kInput, message);
    CHECK_MESSAGE(message.find('\n') == std::string::npos, message);
    return message;
  }
  FAIL_CHECK("no error was thrown");
  return {};
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
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

  SafetensorsFile write(const std::string& path) const {
    std::vector<std::vector<float>> values;
    std::vector<TensorToWrite> list;
    for (const ExpectedTensor& tensor : tensors) {
      size_t count = 1;
      for (const int64_t extent : tensor.shape) count *= static_cast<size_t>(extent);
      values.emplace_back(count, 0.5f);
      list.emplace_back(tensor.name, tensor.shape, values.back());
    }
    write_safetensors(path, list, metadata);
    return SafetensorsFile(path);
  }
};

}  // namespace verace::weights
