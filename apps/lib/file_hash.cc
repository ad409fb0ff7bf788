// Digests by coreutils, which every distribution installs: nothing to keep up to date here, and as
// fast as the machine's instructions allow.
#include "apps/lib/file_hash.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "apps/lib/child_process.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {

std::string_view to_string(HashKind kind) { return kind == HashKind::kMd5 ? "md5" : "sha256"; }

size_t digits_of(HashKind kind) { return kind == HashKind::kMd5 ? 32 : 64; }

bool FileHash::fits(std::string_view digest) const {
  return !hex.empty() && digest.size() == digits_of(kind) && digest.starts_with(hex);
}

std::string FileHash::text() const {
  if (is_whole()) return text::format("{} {}", to_string(kind), hex);
  return text::format("the first {} of {} digits of {}, {}", hex.size(), digits_of(kind),
                      to_string(kind), hex);
}

std::string hash_of(int descriptor, HashKind kind, const std::string& name) {
  if (::lseek(descriptor, 0, SEEK_SET) != 0) {
    fail_input(text::format("{}: cannot be read from its beginning ({}): give a regular file", name,
                            std::strerror(errno)));
  }
  const std::string program = std::string(to_string(kind)) + "sum";
  ChildStreams streams;
  // As standard input: then the program prints no name, whose odd characters it would escape.
  streams.input = descriptor;
  const ChildResult result = run_child({program}, streams);
  if (!result.found) {
    fail_input(text::format(
        "{}: cannot be verified, for there is no program {} in PATH: install coreutils", name,
        program));
  }
  if (result.stopped) return "";
  const std::string digest = result.output.substr(0, digits_of(kind));
  const bool good = result.code == 0 && digest.size() == digits_of(kind) &&
                    digest.find_first_not_of("0123456789abcdef") == std::string::npos &&
                    result.output.substr(digest.size()).starts_with(" ");
  if (!good) {
    fail_input(text::format("{}: {} fails (code {}: {}): check the disc and the file's permissions",
                            name, program, result.code,
                            result.errors.substr(0, result.errors.find('\n'))));
  }
  return digest;
}

}  // namespace verace::apps
