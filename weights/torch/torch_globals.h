// The Python names that a state dict's pickle may mention, and what each means to us.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "weights/dtype.h"

namespace verace::weights {

enum class GlobalKind : uint8_t {
  kOrderedDict,
  kRebuildTensor,    // (storage, offset, size, stride, ...): _rebuild_tensor, _v2
  kRebuildTensorV3,  // the same, and the dtype in the seventh place
  kRebuildFromType,  // (function, type, arguments, state): means function(*arguments)
  kParameter,        // (tensor, ...): means the tensor
  kTensorClass,      // torch 0.1: an empty tensor whose state is (storage, offset, size, stride)
  kStorageClass,     // the type of a storage's elements
  kDtype,
  kUnsupportedTensor,  // sparse, quantised, without data: refused where a tensor is wanted
  kHarmless,           // may stand beside the weights (sizes, devices, sets ...); never looked at
};

struct TorchGlobal {
  GlobalKind kind;
  std::optional<Dtype> dtype;  // of storage classes, tensor classes and dtypes that we can read
};

// Nothing for every other name: the pickle is then refused. The list is that of PyTorch's own
// weights-only reader (torch/_weights_only_unpickler.py); nothing in it is ever called.
std::optional<TorchGlobal> find_torch_global(std::string_view module, std::string_view name);

// How PyTorch calls the storage of such elements: "FloatStorage"; empty where it has no such class.
std::string storage_class(Dtype dtype);

}  // namespace verace::weights
