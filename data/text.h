// Names of files for one-line messages, and reading whole files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace verace::data {

// A path on one line, its bytes as they are.
std::string name_of(const std::filesystem::path& path);

// The whole content of a regular file of at most `max_bytes`. `what` names the kind of file in
// messages ("picture", "manifest"). Throws Error(kInput) for a missing, unreadable, too large or
// non-regular file (directories included).
std::vector<std::byte> read_file(const std::filesystem::path& path, int64_t max_bytes,
                                 const std::string& what);

}  // namespace verace::data
