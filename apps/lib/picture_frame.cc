// A picture as a video of one frame.
#include <array>
#include <fstream>
#include <string_view>
#include <system_error>

#include "apps/lib/video_faces.h"

namespace verace::apps {
namespace {

namespace fs = std::filesystem;

class PictureFrame : public data::FrameSource {
 public:
  explicit PictureFrame(data::Image image) : image_(std::move(image)) {
    info_ = {image_.width, image_.height, 1, 0, kPictureFormat};
  }

  const data::FrameSourceInfo& info() const override { return info_; }
  bool advance() override { return ++index_ == 0; }
  int64_t index() const override { return index_; }
  double seconds() const override { return 0; }
  data::Image image() override { return image_; }
  std::string damage() const override { return ""; }

 private:
  data::Image image_;
  data::FrameSourceInfo info_;
  int64_t index_ = -1;
};

// By its first bytes, as data::decode_image; but a stream of Motion-JPEG begins like a JPEG.
bool begins_as_picture(const fs::path& path) {
  const std::string extension = path.extension().string();
  for (const char* stream : {".mjpg", ".mjpeg", ".MJPG", ".MJPEG"}) {
    if (extension == stream) return false;
  }
  std::array<char, 8> first = {};
  std::ifstream file(path, std::ios::binary);
  file.read(first.data(), first.size());
  const std::string_view bytes(first.data(), static_cast<size_t>(file.gcount()));
  return bytes.starts_with("\xff\xd8\xff") || bytes.starts_with("\x89PNG\r\n\x1a\n") ||
         bytes.starts_with("BM");
}

}  // namespace

std::unique_ptr<data::FrameSource> open_frames_or_picture(const fs::path& path, int threads) {
  std::error_code error;
  if (fs::is_regular_file(path, error) && begins_as_picture(path)) {
    return std::make_unique<PictureFrame>(data::read_image(path));
  }
  return data::open_frames(path, threads);
}

}  // namespace verace::apps
