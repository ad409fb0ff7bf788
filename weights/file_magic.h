// Recognising other file formats by their first bytes, for messages that help.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace verace::weights {

// For a file that is not safetensors: what it is and what to do, e.g. "is a PyTorch .pth zip:
// convert it to safetensors first". Empty when the format is unknown. Looks at the first 512 bytes
// only.
std::string describe_other_format(std::span<const std::byte> file);

}  // namespace verace::weights
