// Pictures by the endings of their names.
#include "data/picture_name.h"

#include <string>

namespace verace::data {

bool is_picture_name(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  const bool known =
      extension == ".jpg" || extension == ".jpeg" || extension == ".png" || extension == ".bmp";
  return known && !path.filename().native().starts_with('.');
}

}  // namespace verace::data
