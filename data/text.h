// Names of files and fields for one-line error messages, and reading whole files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace verace::data {

// `text` with control characters written as \n, \t, \x01 ..., so that a message stays on one line.
// Bytes from 0x80 up (UTF-8) pass unchanged.
std::string one_line(std::string_view text);

// A path on one line, its bytes as they are.
std::string name_of(const std::filesystem::path& path);

// The whole content of a regular file of at most `max_bytes`. `what` names the kind of file in
// messages ("picture", "manifest"). Throws Error(kInput) for a missing, unreadable, too large or
// non-regular file (directories included).
std::vector<std::byte> read_file(const std::filesystem::path& path, int64_t max_bytes,
                                 const std::string& what);

}  // namespace verace::data
