// Which files of a folder are taken for pictures.
#pragma once

#include <filesystem>

namespace verace::data {

// .jpg .jpeg .png .bmp, in any case; hidden files never: some systems leave ._name.jpg beside
// name.jpg.
bool is_picture_name(const std::filesystem::path& path);

}  // namespace verace::data
