// Finding the folder for cached files.
#include "kernels/cache_folder.h"

#include <cstdlib>

namespace verace::kernels {

std::string cache_folder() {
  if (const char* ours = std::getenv("VERACE_CACHE")) {
    const std::string folder = ours;
    return folder == "off" ? "" : folder;
  }
  const char* caches = std::getenv("XDG_CACHE_HOME");
  if (caches != nullptr && *caches == '/') return std::string(caches) + "/verace";
  const char* home = std::getenv("HOME");
  return home != nullptr && *home == '/' ? std::string(home) + "/.cache/verace" : "";
}

}  // namespace verace::kernels
