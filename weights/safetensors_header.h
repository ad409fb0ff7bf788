// Parsing and validating the header of a safetensors file in memory (also the fuzzers' entry).
//
// Layout: 8 bytes little-endian header length N, N bytes of JSON, then the data section. The JSON
// maps each tensor name to {"dtype", "shape", "data_offsets": [begin, end)} (offsets in bytes from
// the start of the data section); "__metadata__" maps strings to strings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "weights/tensor_table.h"

namespace verace::weights {

// Limits that keep a hostile header harmless; the first is the reference implementation's.
inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;
inline constexpr size_t kMaxRank = 32;

// What errors advise.
inline constexpr const char* kExportAgain = "fetch or export the file again";

// `file` is the whole file, `path` only names it in messages. Throws Error(kInput) with one line
// (file, tensor, what does not fit, what to do) unless all of this holds: the header lies within
// the file and kMaxHeaderBytes, is valid JSON of exactly the structure above without duplicate
// keys, each shape's product times the element size is the byte count without overflow, and the
// tensors tile the data section from 0 to the file's end without hole or overlap.
TensorTable parse_safetensors(std::span<const std::byte> file, const std::string& path);

}  // namespace verace::weights
