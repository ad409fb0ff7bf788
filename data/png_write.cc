// PNG writing: stb_image_write packs, we place the file whole or not at all.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>  // NOLINT(raw-memory): for std::bad_alloc
#include <utility>

#include "data/image.h"
#include "data/text.h"
#include "kernels/check.h"
#include "kernels/format.h"

#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

namespace verace::data {
namespace {

// A file under a temporary name beside its final one; removed unless it was renamed.
class PendingFile {
 public:
  explicit PendingFile(const std::filesystem::path& path) : final_(path) {
    static std::atomic<uint64_t> serial{0};
    // Unique among processes and threads; the leading dot keeps it out of data sets.
    temporary_ = path.parent_path() / text::format(".verace.{}.{}.tmp", ::getpid(), serial++);
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail("cannot be created");
  }
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;
  ~PendingFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!placed_) ::unlink(temporary_.c_str());
  }

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) fail("cannot be written");
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
  }

  void place(Durability durability) {
    if (durability == Durability::kSync && ::fsync(descriptor_) != 0) fail("cannot be written");
    const int closing = std::exchange(descriptor_, -1);
    if (::close(closing) != 0) fail("cannot be written");
    if (::rename(temporary_.c_str(), final_.c_str()) != 0) fail("cannot be put in place");
    placed_ = true;
  }

 private:
  // In the constructor the destructor will not run, but then there is nothing to remove either.
  [[noreturn]] void fail(const char* what) const {
    const int code = errno;
    fail_input(text::format("{}: {} ({}); check the directory, its permissions and free space",
                            name_of(final_), what, std::strerror(code)));
  }

  std::filesystem::path final_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
  bool placed_ = false;
};

}  // namespace

std::vector<std::byte> encode_png(const Image& image) {
  VERACE_CHECK(image.height >= 1 && image.width >= 1);
  VERACE_CHECK(image.height <= kMaxImageSide && image.width <= kMaxImageSide);
  VERACE_CHECK(image.height * image.width <= kMaxImagePixels);
  VERACE_CHECK(static_cast<int64_t>(image.rgb.size()) == image.height * image.width * 3);
  int length = 0;
  const std::unique_ptr<unsigned char, void (*)(void*)> packed(
      stbi_write_png_to_mem(image.rgb.data(), static_cast<int>(image.width * 3),
                            static_cast<int>(image.width), static_cast<int>(image.height), 3,
                            &length),
      std::free);
  if (!packed) throw std::bad_alloc();
  const auto* begin = reinterpret_cast<const std::byte*>(packed.get());
  return {begin, begin + length};
}

void write_png(const std::filesystem::path& path, const Image& image, Durability durability) {
  const std::vector<std::byte> bytes = encode_png(image);
  PendingFile file(path);
  file.write(bytes);
  file.place(durability);
}

}  // namespace verace::data
