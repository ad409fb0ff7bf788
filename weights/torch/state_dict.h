// What the pickle of a state dict says: which tensors there are, and where their numbers lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "weights/tensor_table.h"
#include "weights/torch/pickle.h"

namespace verace::weights {

// Bounds of a state dict. A tensor may repeat its storage's numbers (expand()), and tensors may
// share them, so that the tensors together may be larger than the file; a limit keeps a small file
// from claiming terabytes.
inline constexpr size_t kMaxTensors = size_t{1} << 16;
inline constexpr int64_t kMaxTensorNameBytes = 4096;
inline constexpr int64_t kMaxSharing = 8;  // all tensors' bytes: at most this many times the file's

// The attribute of the OrderedDict in which write_torch_zip keeps a file's metadata.
inline constexpr std::string_view kTorchMetadata = "verace_metadata";

// A storage as tensors refer to it: one-dimensional, kept outside the pickle under `key`.
struct TorchStorage {
  std::string_view key;
  Dtype dtype = Dtype::kF32;
  int64_t elements = 0;  // in the whole storage
  // The part that is meant (old stream files only); else all of it.
  int64_t view_offset = 0;
  int64_t view_elements = 0;

  int64_t bytes() const { return elements * size_of(dtype); }  // does not overflow
};

// Reads a storage's reference. `where` as in read_pickle. Throws Error(kInput) for one that is
// malformed, of an element type that Verace does not know, or larger than 2^63 bytes.
TorchStorage read_storage(const Pickle& pickle, const PicklePersistent& reference,
                          const std::string& where);

// Gives the bytes of a whole storage, exactly storage.bytes() of them, or throws Error(kInput).
using FindStorage = std::function<std::span<const std::byte>(const TorchStorage& storage)>;

// The tensors of a state dict in its order: of the dictionary at the pickle's root or, where that
// has one under a name such as "state_dict" or "model", of that (metadata "torch.wrapper" is then
// its name, "model.state_dict" if they are nested). Entries that are no tensors are left out. Names
// are the keys as they are ("module." stays). metadata also has what write_torch_zip stored.
//
// Strides are kept where a tensor is not dense; several tensors may share a storage. `file_bytes`
// is for the limit above. Throws Error(kInput) naming the tensor when it reaches beyond its
// storage, has a negative or overflowing size, a stride below 0, more than kMaxRank extents, a name
// twice or that is not UTF-8, or is sparse or quantised; and where there is no tensor at all.
TensorTable read_state_dict(const Pickle& pickle, const std::string& where, int64_t file_bytes,
                            const FindStorage& find_storage);

}  // namespace verace::weights
