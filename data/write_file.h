// Writing whole files, and the folders of pictures that we draw.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace verace::data {

// kSync: the bytes are on the disk when the call returns (fsync). kFast: left to the system; for
// what can be made again.
enum class Durability { kSync, kFast };

// Writes a file under a temporary name in the same directory and renames it, so that readers see
// the old file or the whole new one. The directory must exist. Throws Error(kInput) naming the file
// and the system's reason; the temporary file is removed.
void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes,
                Durability durability);

// Makes a folder (with its parents) for pictures. Throws Error(kInput) where that fails, and for
// one that holds anything.
void make_empty_folder(const std::filesystem::path& directory);

}  // namespace verace::data
