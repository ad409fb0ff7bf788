// The file class: lookup and conversion; structure is safetensors_header.cc's subject.
#include "weights/safetensors.h"

#include <cstring>

#include "kernels/check.h"
#include "weights/half.h"

namespace verace::weights {

SafetensorsFile::SafetensorsFile(const std::string& path)
    : path_(path), file_(path), content_(parse_safetensors(file_.bytes(), path)) {
  for (size_t i = 0; i < content_.tensors.size(); ++i) index_[content_.tensors[i].name] = i;
}

const TensorView* SafetensorsFile::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &content_.tensors[found->second];
}

const TensorView& SafetensorsFile::at(std::string_view name) const {
  const TensorView* tensor = find(name);
  if (tensor == nullptr) {
    fail_input(path_ + ": has no tensor " + in_quotes(std::string(name)) +
               ": choose a file of the right network");
  }
  return *tensor;
}

void SafetensorsFile::read_f32(std::string_view name, std::span<float> target) const {
  const TensorView& tensor = at(name);
  if (!is_exact_in_f32(tensor.dtype)) {
    fail_input(path_ + ": tensor " + in_quotes(tensor.name) + " has dtype " +
               std::string(to_string(tensor.dtype)) + ": convert it to F32, F16 or BF16");
  }
  VERACE_CHECK(static_cast<int64_t>(target.size()) == tensor.element_count(),
               path_ + ": tensor " + in_quotes(tensor.name) + " has " +
                   std::to_string(tensor.element_count()) + " elements, the target " +
                   std::to_string(target.size()));
  if (tensor.dtype == Dtype::kF16) {
    f16_to_f32(tensor.bytes, target);
  } else if (tensor.dtype == Dtype::kBF16) {
    bf16_to_f32(tensor.bytes, target);
  } else if (!target.empty()) {
    std::memcpy(target.data(), tensor.bytes.data(), tensor.bytes.size());
  }
}

std::vector<float> SafetensorsFile::read_f32(std::string_view name) const {
  std::vector<float> values(static_cast<size_t>(at(name).element_count()));
  read_f32(name, values);
  return values;
}

}  // namespace verace::weights
