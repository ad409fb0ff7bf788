// Writing state dicts that PyTorch reads.
#pragma once

#include <map>
#include <span>
#include <string>

#include "weights/safetensors.h"

namespace verace::weights {

// Writes `path` atomically (atomic_file.h) in the zip container of PyTorch 1.6 and later: what
// torch.load(path, weights_only=True) returns is an OrderedDict of dense CPU tensors in the given
// order, each with a storage of its own, aligned to 64 bytes. Equal input gives equal bytes.
// `metadata` becomes the OrderedDict's attribute verace_metadata, which load_state_dict() ignores
// and parse_torch_zip() reads.
//
// Throws Error(kInput) when the system refuses (nothing is lost or left behind), for names or
// metadata that are not UTF-8, for element types that PyTorch's classes of storages lack (U16, U32,
// U64, F8), and beyond 4 GiB or 65,000 tensors, where safetensors is the better choice;
// Error(kInternal) for a duplicate name or a byte count that does not fit shape and dtype.
void write_torch_zip(const std::string& path, std::span<const TensorToWrite> tensors,
                     const std::map<std::string, std::string>& metadata);

}  // namespace verace::weights
