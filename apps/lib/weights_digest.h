// Telling networks apart: a short name of a weight file's numbers.
#pragma once

#include <string>

namespace verace::apps {

// 16 hexadecimal digits that depend on the names and the bytes of all tensors of a weight file
// (64-bit FNV-1a) as we read it, and not on its metadata: a threshold that is stored later changes
// nothing. Good against mistakes, not against malice. Throws as weights::WeightFile.
std::string weights_digest(const std::string& path);

}  // namespace verace::apps
