// Loading the module that calls FFmpeg.
#include "data/video/library.h"

#include <dlfcn.h>

#include <cstdlib>

#include "data/text.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data::video {
namespace {

namespace fs = std::filesystem;
constexpr const char* kVariable = "VERACE_VIDEO_LIBRARY";
constexpr const char* kFile = "libverace_video.so";

struct Loaded {
  const Library* library = nullptr;
  fs::path path;
  std::string problem;  // empty: `library` is there
};

std::string loader_error() {
  const char* text = dlerror();
  return text == nullptr ? "unknown error" : text;
}

std::string why_not_there() {
  if (std::getenv(kVariable) != nullptr) {
    return text::format("videos cannot be read: {} names {}, which is not there", kVariable,
                        name_of(std::getenv(kVariable)));
  }
  return text::format(
      "videos cannot be read: {} is not beside the program (it was built without FFmpeg); build it "
      "with FFmpeg's development packages (scripts/setup.sh installs them), or give folders of "
      "pictures",
      kFile);
}

Loaded load() {
  Loaded result;
  std::error_code error;
  for (const fs::path& candidate : library_candidates()) {
    if (fs::exists(candidate, error)) {
      result.path = candidate;
      break;
    }
  }
  if (result.path.empty()) {
    result.problem = why_not_there();
    return result;
  }
  // Local: nothing of FFmpeg's libraries meets our own names.
  void* handle = dlopen(result.path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    result.problem = text::format(
        "videos cannot be read: {} does not load ({}); install FFmpeg's libraries (on Debian and "
        "Ubuntu: apt-get install ffmpeg), or build this program anew",
        name_of(result.path), loader_error());
    return result;
  }
  const auto function = reinterpret_cast<LibraryFunction*>(dlsym(handle, kLibraryFunction));
  if (function != nullptr) result.library = function(kInterface);
  if (result.library == nullptr) {
    result.problem = text::format(
        "videos cannot be read: {} is of another build than this program; build both anew",
        name_of(result.path));
  }
  return result;
}

const Loaded& loaded() {
  static const Loaded the_library = load();
  return the_library;
}

}  // namespace

std::vector<fs::path> library_candidates() {
  if (const char* named = std::getenv(kVariable)) return {named};
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error) return {};
  const fs::path folder = program.parent_path();
  return {folder / kFile, folder.parent_path() / kFile,
          folder.parent_path() / "lib" / "verace" / kFile};
}

const Library& library() {
  if (!loaded().problem.empty()) fail_input(loaded().problem);
  return *loaded().library;
}

std::string library_text() {
  const Loaded& state = loaded();
  if (!state.problem.empty()) return one_line(state.problem);
  return text::format("{} ({})", state.library->version(), name_of(state.path));
}

}  // namespace verace::data::video
