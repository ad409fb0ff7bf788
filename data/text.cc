// Reading whole files with errors that name them.
#include "data/text.h"

#include <cstdio>
#include <memory>
#include <string_view>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data {

std::string name_of(const std::filesystem::path& path) {
  return one_line(std::string_view(path.native()));
}

std::vector<std::byte> read_file(const std::filesystem::path& path, int64_t max_bytes,
                                 const std::string& what) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  const std::string name = name_of(path);
  if (status.type() == fs::file_type::not_found) {
    fail_input(text::format("{}: no such file; check the path of the {}", name, what));
  }
  if (error) fail_input(text::format("{}: cannot be opened ({})", name, error.message()));
  if (fs::is_directory(status)) {
    fail_input(text::format("{}: is a directory; name a {} file", name, what));
  }
  if (!fs::is_regular_file(status)) {
    fail_input(text::format("{}: is not a regular file; name a {} file", name, what));
  }
  const auto size = static_cast<int64_t>(fs::file_size(path, error));
  if (error) fail_input(text::format("{}: cannot be read ({})", name, error.message()));
  if (size > max_bytes) {
    fail_input(text::format("{}: {} bytes are more than the {} allowed for a {}", name, size,
                            max_bytes, what));
  }
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             std::fclose);
  if (!file) {
    fail_input(text::format("{}: cannot be opened; check that it may be read", name));
  }
  std::vector<std::byte> bytes(static_cast<size_t>(size));
  if (std::fread(bytes.data(), 1, bytes.size(), file.get()) != bytes.size()) {
    fail_input(text::format("{}: reading failed or the file shrank meanwhile; try again", name));
  }
  return bytes;
}

}  // namespace verace::data
