// What errors about PyTorch's files advise, and how they name what a file names.
#pragma once

#include <string>
#include <string_view>

#include "weights/tensor_table.h"

namespace verace::weights {

inline constexpr const char* kAgain = "fetch or save the file again";
inline constexpr const char* kStateDict = "save it again with torch.save(model.state_dict(), FILE)";

// The first 100 bytes of a name.
inline std::string quoted(std::string_view name) {
  return in_quotes(std::string(name.substr(0, 100)));
}

}  // namespace verace::weights
