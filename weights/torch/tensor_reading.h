// One tensor of a state dict (private to the readers of PyTorch files).
#pragma once

#include <optional>
#include <string>

#include "weights/torch/state_dict.h"

namespace verace::weights {

// The call by which the pickle makes a tensor, wrappers taken off.
struct TensorCall {
  bool supported = true;     // false: sparse, quantised or without data
  PickleTuple arguments;     // storage, offset, size, stride ...
  bool names_dtype = false;  // the seventh argument is the dtype
};

// Nothing where the value is no tensor.
std::optional<TensorCall> find_tensor_call(const Pickle& pickle, PickleId id);

// The tensor, checked; `name` may hold any bytes, it is only used in messages and as the name.
TensorView read_tensor(const Pickle& pickle, const TensorCall& call, const std::string& name,
                       const std::string& where, const FindStorage& find_storage);

}  // namespace verace::weights
