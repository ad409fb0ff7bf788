// A folder or a video: what lies at a path.
#include "data/frame_source.h"

#include "data/frame_folder.h"
#include "data/text.h"
#include "data/video/library.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data {

std::unique_ptr<FrameSource> open_frames(const std::filesystem::path& path, int threads) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  const std::string name = name_of(path);
  if (status.type() == fs::file_type::not_found) {
    fail_input(text::format("{}: no such file or folder; check the path of the video", name));
  }
  if (error) fail_input(text::format("{}: cannot be opened ({})", name, error.message()));
  if (fs::is_directory(status)) return open_frame_folder(path);
  if (!fs::is_regular_file(status)) {
    fail_input(text::format("{}: is neither a file nor a folder; name a video", name));
  }
  const auto size = fs::file_size(path, error);
  if (!error && size == 0) {
    fail_input(text::format("{}: empty file; replace or remove it", name));
  }
  return video::library().open(path, threads);
}

}  // namespace verace::data
