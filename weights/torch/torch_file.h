// Reading the files of torch.save() in memory, executing nothing (also the fuzzers' entries).
//
// zip (since PyTorch 1.6): an uncompressed zip with PREFIX/data.pkl (the pickle of the state dict,
// pickle.h), PREFIX/data/KEY (one storage each, little-endian) and small members about the format.
// stream (0.1.10 to 1.5): five pickles, one after the other: a magic number, the protocol, facts of
// the machine, the state dict, the storages' keys; then for each key the number of its elements
// (int64) and these.
// A third container, the tar of PyTorch 0.1, is recognised by file_magic.h and not read.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "weights/tensor_table.h"

namespace verace::weights {

// Whether the file begins as one of the two.
bool is_torch_zip(std::span<const std::byte> file);
bool is_torch_stream(std::span<const std::byte> file);

// `file` is the whole file, `path` only names it in messages; the views point into `file`. Names
// are the state dict's keys in its order, wrappers such as {"state_dict": ...} taken off (metadata
// "torch.wrapper" names them), "module." left on; metadata "torch.format" is "zip" or "stream".
// Throws Error(kInput), one line that names file and place, for all that state_dict.h, pickle.h and
// zip_directory.h refuse, for big-endian files, and where a storage and its reference differ in
// size.
//
// The checksum of data.pkl is compared, because all else follows from it and it is short; the
// storages' are not: reading a view costs nothing, summing 100 MB a tenth of a second, and a
// changed weight is no danger to the reader. Where PyTorch was told not to compute sums they are 0
// and not compared.
TensorTable parse_torch_zip(std::span<const std::byte> file, const std::string& path);
TensorTable parse_torch_stream(std::span<const std::byte> file, const std::string& path);

}  // namespace verace::weights
