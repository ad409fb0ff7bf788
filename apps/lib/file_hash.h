// Published digests of files: SHA-256 and MD5.
#pragma once

#include <string>
#include <string_view>

namespace verace::apps {

// MD5 is here for Keras' files, which are published with nothing else. It no longer proves who made
// a file (two files with one MD5 can be made), but nobody can make a second file to a given MD5.
enum class HashKind { kSha256, kMd5 };
std::string_view to_string(HashKind kind);  // "sha256", "md5"
size_t digits_of(HashKind kind);            // 64, 32

// A digest that a file shall have. `hex` may be only its beginning: torchvision puts the first 8
// digits into the file's name.
struct FileHash {
  HashKind kind = HashKind::kSha256;
  std::string hex;  // lower case

  bool is_whole() const { return hex.size() == digits_of(kind); }
  // Whether a whole digest is this one.
  bool fits(std::string_view digest) const;
  // "sha256 0676ba61...", and for a beginning "the first 8 of 64 digits of sha256, 0676ba61".
  std::string text() const;
};

// The whole digest of what is behind an open descriptor, from its beginning, by coreutils'
// sha256sum or md5sum. Moves the descriptor's position. `name` is for messages. Throws
// Error(kInput) where the program is missing or the file cannot be read. Empty: a stop signal
// arrived.
std::string hash_of(int descriptor, HashKind kind, const std::string& name);

}  // namespace verace::apps
