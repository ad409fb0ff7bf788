// Names of files for one-line messages, small things about text, and reading whole files.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace verace::data {

// A path on one line, its bytes as they are.
std::string name_of(const std::filesystem::path& path);

// '0' to '9', in every locale.
inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The place of a name in a list of names; nothing when it is not there.
template <size_t kCount>
std::optional<size_t> index_of(const std::array<const char*, kCount>& names,
                               const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<size_t>(found - names.begin());
}

// The whole content of a regular file of at most `max_bytes`. `what` names the kind of file in
// messages ("picture", "manifest"). Throws Error(kInput) for a missing, unreadable, too large or
// non-regular file (directories included).
std::vector<std::byte> read_file(const std::filesystem::path& path, int64_t max_bytes,
                                 const std::string& what);

}  // namespace verace::data
