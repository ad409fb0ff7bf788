// Recognising other file formats by their first bytes, for messages that help.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace verace::weights {

// The formats of WeightFile, for help texts and messages.
inline constexpr const char* kReadableFormats =
    "safetensors or its index, PyTorch's .pth, Keras' .h5 or .keras";

// For a file that no reader knows: what it is and what to do, e.g. "is compressed with gzip: unpack
// it with gzip -d first". Empty when it is unknown. Looks at the first 512 bytes only.
std::string describe_other_format(std::span<const std::byte> file);

}  // namespace verace::weights
