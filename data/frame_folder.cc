// Reading the pictures of a folder one after the other.
#include "data/frame_folder.h"

#include <algorithm>
#include <vector>

#include "data/natural_order.h"
#include "data/picture_name.h"
#include "data/text.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> pictures_in(const fs::path& folder) {
  std::vector<fs::path> pictures;
  try {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      if (is_picture_name(entry.path()) && !entry.is_directory()) pictures.push_back(entry.path());
    }
  } catch (const fs::filesystem_error& error) {
    fail_input(text::format("{}: cannot be read ({})", name_of(folder), error.code().message()));
  }
  std::ranges::sort(pictures, [](const fs::path& a, const fs::path& b) {
    return natural_less(a.filename().native(), b.filename().native());
  });
  return pictures;
}

class FrameFolder final : public FrameSource {
 public:
  explicit FrameFolder(const fs::path& folder) : pictures_(pictures_in(folder)) {
    if (pictures_.empty()) {
      fail_input(
          text::format("{}: no pictures (.jpg .jpeg .png .bmp) in this folder; name a video "
                       "or a folder of its frames",
                       name_of(folder)));
    }
    if (!decode(0)) {
      fail_input(text::format("{}: none of its {} pictures can be read ({})", name_of(folder),
                              pictures_.size(), first_problem_));
    }
    info_ = {image_.width, image_.height, static_cast<int64_t>(pictures_.size()), 0,
             "folder of pictures"};
  }

  const FrameSourceInfo& info() const override { return info_; }
  bool advance() override { return advance_to(index_ + 1); }
  bool advance_to(int64_t wanted) override {
    wanted = std::max(wanted, index_ + 1);
    // Of the first picture the constructor has decoded, for its size.
    if (decoded_ < wanted && !decode(wanted)) return false;
    index_ = decoded_;
    return true;
  }
  int64_t index() const override { return index_; }
  double seconds() const override { return 0; }
  Image image() override {
    VERACE_CHECK(index_ >= 0 && index_ == decoded_, "no current frame");
    return image_;
  }
  std::string damage() const override {
    if (broken_ == 0) return "";
    return text::format("{} pictures cannot be read, the first: {}", broken_, first_problem_);
  }

 private:
  // The first picture at `from` or behind that can be decoded; false at the end.
  bool decode(int64_t from) {
    for (int64_t i = from; i < static_cast<int64_t>(pictures_.size()); ++i) {
      try {
        image_ = read_image(pictures_[static_cast<size_t>(i)]);
        decoded_ = i;
        return true;
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::kInput) throw;
        if (broken_++ == 0) first_problem_ = error.what();
      }
    }
    index_ = static_cast<int64_t>(pictures_.size());
    return false;
  }

  std::vector<fs::path> pictures_;
  FrameSourceInfo info_;
  Image image_;
  int64_t decoded_ = -1;  // the place of image_
  int64_t index_ = -1;    // of the current frame
  int64_t broken_ = 0;
  std::string first_problem_;
};

}  // namespace

std::unique_ptr<FrameSource> open_frame_folder(const fs::path& folder) {
  return std::make_unique<FrameFolder>(folder);
}

}  // namespace verace::data
