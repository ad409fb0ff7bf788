// Files are placed whole or not at all, and folders made for pictures.
#include "data/write_file.h"

#include "data/pending_file.h"
#include "data/text.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data {

void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes,
                Durability durability) {
  PendingFile file(path);
  file.write(bytes);
  file.place(durability);
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
