// The index of a safetensors model in several files (also a fuzzer's entry).
//
// JSON: {"metadata": {...}, "weight_map": {tensor name: file name, ...}}, as Hugging Face writes it
// (https://huggingface.co/docs/transformers/big_models); the files lie beside the index.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace verace::weights {

// Limits that keep a hostile index harmless: real ones have a few hundred bytes per tensor and some
// dozens of files.
inline constexpr size_t kMaxIndexBytes = 16'000'000;
inline constexpr size_t kMaxShards = 1000;

struct SafetensorsIndex {
  std::map<std::string, std::string> shard_of;  // tensor name -> file name
  std::vector<std::string> shards;              // each once, in the order of their names
};

// Whether the bytes begin as JSON and not as a safetensors file (whose eighth byte is 0, being the
// top of its header's length).
bool looks_like_index(std::span<const std::byte> file);

// Throws Error(kInput) with one line unless `file` is an index without duplicate keys whose shards
// are plain file names: nothing with a slash, a backslash, or a leading dot, so that nothing
// outside of the index's folder is ever opened. `path` only names the file in messages.
SafetensorsIndex parse_safetensors_index(std::span<const std::byte> file, const std::string& path);

}  // namespace verace::weights
