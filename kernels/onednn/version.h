// Which oneDNN this program runs with.
#pragma once

#include <string>

namespace verace::kernels {

// "oneDNN 2.6.3": of the library that was loaded, not of the headers.
std::string onednn_version();

}  // namespace verace::kernels
