// Videos through the encoder of the module, or folders of pictures.
#include "data/video_writer.h"

#include <unistd.h>

#include <atomic>
#include <cmath>
#include <map>
#include <optional>

#include "data/pending_file.h"
#include "data/text.h"
#include "data/video/library.h"
#include "data/write_file.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data {
namespace {

namespace fs = std::filesystem;
constexpr int kJpegQuality = 95;

struct Format {
  const char* people;  // what people call it
  const char* container;
  const char* encoder;
  const char* pixel_format;
};

const std::map<std::string, Format>& formats() {
  static const std::map<std::string, Format> by_ending = {
      {".mp4", {"MPEG-4", "mp4", "mpeg4", "yuv420p"}},
      {".mov", {"MPEG-4", "mov", "mpeg4", "yuv420p"}},
      {".mkv", {"MPEG-4", "matroska", "mpeg4", "yuv420p"}},
      {".avi", {"Motion-JPEG", "avi", "mjpeg", "yuvj420p"}}};
  return by_ending;
}

class PendingSink final : public video::ByteSink {
 public:
  explicit PendingSink(const fs::path& path) : file_(path) {}
  void write(std::span<const std::byte> bytes) override { file_.write(bytes); }
  void seek(int64_t offset) override { file_.seek(offset); }
  PendingFile& file() { return file_; }

 private:
  PendingFile file_;
};

class FileWriter final : public VideoWriter {
 public:
  FileWriter(const fs::path& path, const Format& format, const video::EncoderOptions& options)
      : description_(text::format("{} video {}", format.people, name_of(path))),
        sink_(path),
        encoder_(video::library().encode(sink_, options)) {}
  void add(const Image& frame) override { encoder_->add(frame, frames_++); }
  void finish() override {
    encoder_->finish();
    sink_.file().place(Durability::kSync);
  }
  std::string description() const override { return description_; }

 private:
  std::string description_;
  PendingSink sink_;
  std::unique_ptr<video::Encoder> encoder_;  // before its sink goes
  int64_t frames_ = 0;
};

// Written under a hidden name beside the folder, which then takes its place.
class FolderWriter final : public VideoWriter {
 public:
  FolderWriter(fs::path folder, std::string why)
      : folder_(std::move(folder)), why_(std::move(why)) {
    static std::atomic<uint64_t> serial{0};
    std::error_code error;
    const bool taken = fs::exists(folder_, error) && !fs::is_empty(folder_, error);
    if (taken || error) {
      fail_input(text::format("{}: is there already; remove it or name another", name_of(folder_)));
    }
    temporary_ =
        folder_.parent_path() / text::format(".verace-tmp-{}-frames-{}", ::getpid(), serial++);
    if (!fs::create_directory(temporary_, error)) {
      temporary_.clear();
      fail_input(text::format("{}: cannot be created ({}); check the folder it stands in",
                              name_of(folder_), error.message()));
    }
  }
  ~FolderWriter() override {
    std::error_code error;  // nobody is there to hear of it
    if (!temporary_.empty()) fs::remove_all(temporary_, error);
  }
  FolderWriter(const FolderWriter&) = delete;
  FolderWriter& operator=(const FolderWriter&) = delete;

  void add(const Image& frame) override {
    const fs::path file = temporary_ / text::format("{:06}.jpg", frames_++);
    write_file(file, encode_jpeg(frame, kJpegQuality), Durability::kFast);
  }
  void finish() override {
    std::error_code error;
    fs::rename(temporary_, folder_, error);  // over an empty folder it may
    if (error) {
      fail_input(
          text::format("{}: cannot be put in place ({})", name_of(folder_), error.message()));
    }
    temporary_.clear();
  }
  std::string description() const override {
    return text::format("{} JPEG frames in folder {}{}", frames_, name_of(folder_),
                        why_.empty() ? "" : " (" + why_ + ")");
  }

 private:
  fs::path folder_, temporary_;
  std::string why_;
  int64_t frames_ = 0;
};

// Why no video can be written here; empty: it can.
std::string why_no_video(const std::string& encoder) {
  try {
    if (video::library().has_encoder(encoder)) return "";
    return text::format("{} has no encoder {}", video::library().version(), encoder);
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace

std::unique_ptr<VideoWriter> create_video(const fs::path& path, int64_t width, int64_t height,
                                          double frames_per_second) {
  VERACE_CHECK(width >= 1 && height >= 1);
  const std::string ending = path.extension().string();
  if (ending.empty()) return std::make_unique<FolderWriter>(path, "");
  const auto format = formats().find(ending);
  if (format == formats().end()) {
    fail_input(text::format(
        "{}: videos are written as .mp4, .mov, .mkv or .avi, or without an ending as a folder of "
        "pictures; name one of these",
        name_of(path)));
  }
  const std::string why = why_no_video(format->second.encoder);
  if (!why.empty()) {
    fs::path folder = path;
    folder.replace_filename(path.stem().native() + "_frames");
    return std::make_unique<FolderWriter>(folder, why);
  }
  video::EncoderOptions options;
  options.name = name_of(path);
  options.container = format->second.container;
  options.encoder = format->second.encoder;
  options.pixel_format = format->second.pixel_format;
  options.width = width;
  options.height = height;
  const bool usable = std::isfinite(frames_per_second) && frames_per_second > 0;
  options.ticks_per_second = usable ? frames_per_second : 25;
  return std::make_unique<FileWriter>(path, format->second, options);
}

}  // namespace verace::data
