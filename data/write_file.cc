// Files are placed whole or not at all: written under a temporary name, then renamed.
#include "data/write_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "data/text.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "kernels/temporary_file.h"

namespace verace::data {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const char* what) {
  const int code = errno;
  fail_input(text::format("{}: {} ({}); check the directory, its permissions and free space",
                          name_of(path), what, std::strerror(code)));
}

void write_all(int descriptor, std::span<const std::byte> bytes,
               const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail(path, "cannot be written");
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

}  // namespace

void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes,
                Durability durability) {
  TemporaryFile file(path.parent_path().string());
  if (!file) fail(path, "cannot be created");
  write_all(file.descriptor(), bytes, path);
  // Network file systems tell of lost bytes at close(), and the lock must last until the rename.
  const bool whole = durability == Durability::kSync ? ::fsync(file.descriptor()) == 0
                                                     : Descriptor(::dup(file.descriptor())).close();
  if (!whole) fail(path, "cannot be written");
  if (!file.rename_to(path.string())) fail(path, "cannot be put in place");
}

void make_empty_folder(const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  const bool usable = !error && std::filesystem::is_directory(directory, error);
  if (!usable || error) {
    fail_input(
        text::format("{}: cannot be made a directory ({})", name_of(directory), error.message()));
  }
  const bool empty = std::filesystem::is_empty(directory, error);
  if (error || !empty) {
    fail_input(text::format("{}: is not empty; name a new directory for the drawn pictures",
                            name_of(directory)));
  }
}

}  // namespace verace::data
