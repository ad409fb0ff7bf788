// Where the program keeps what only saves time and may be deleted at any moment.
#pragma once

#include <string>

namespace verace::kernels {

// VERACE_CACHE where it is set ("off" or empty: no folder at all); else "verace" in XDG_CACHE_HOME
// (an absolute path, as the XDG Base Directory Specification wants it) or in HOME's .cache. Empty
// where there is none of them. The folder need not exist.
std::string cache_folder();

}  // namespace verace::kernels
