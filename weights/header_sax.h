// The state machine that reads a safetensors header's JSON (private to the reader).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "weights/dtype.h"

namespace verace::weights {

// What the JSON says of one tensor; nothing checked yet beyond its own syntax.
struct HeaderEntry {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape;    // each >= 0
  std::vector<int64_t> offsets;  // begin, end; each >= 0
};

struct Header {
  std::vector<HeaderEntry> entries;  // in the order of the text
  std::map<std::string, std::string> metadata;
};

// Throws Error(kInput) naming `path`. Memory stays proportional to the text: nesting is fixed by
// the structure and no document tree is built.
Header parse_header_json(const std::string& text, const std::string& path);

}  // namespace verace::weights
