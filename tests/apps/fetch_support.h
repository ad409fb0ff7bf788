// What the tests of fetching share: a PATH of their own, programs that play curl or wget, digests.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "apps/lib/file_hash.h"
#include "tests/support/files.h"

namespace verace::test {

// PATH is one new folder until this object goes; the folder holds the named programs of the system
// and scripts of the test's own.
class OwnPath {
 public:
  OwnPath() : old_(std::getenv("PATH") == nullptr ? "/usr/bin:/bin" : std::getenv("PATH")) {
    link("sha256sum");
    link("md5sum");
    setenv("PATH", folder_.path().c_str(), 1);
  }
  ~OwnPath() { setenv("PATH", old_.c_str(), 1); }
  OwnPath(const OwnPath&) = delete;
  OwnPath& operator=(const OwnPath&) = delete;

  // The system's program of this name.
  void link(const std::string& name) const {
    for (size_t begin = 0; begin <= old_.size();) {
      const size_t end = std::min(old_.find(':', begin), old_.size());
      const std::filesystem::path program = old_.substr(begin, end - begin) + "/" + name;
      if (::access(program.c_str(), X_OK) == 0) {
        std::filesystem::create_symlink(program, folder_ / name);
        return;
      }
      begin = end + 1;
    }
    FAIL("there is no program ", name, " here");
  }
  void remove(const std::string& name) const { std::filesystem::remove(folder_ / name); }
  // A script in place of a program. It finds the system's programs, its words in the file `log`
  // (one a line), the file to write to in $out, where that is in $size bytes long.
  void script(const std::string& name, const std::string& body) const {
    write_text(folder_ / name, "#!/bin/sh\nPATH=" + old_ + "\nprintf '%s\\n' \"$@\" \"-- end\" >>" +
                                   log().string() +
                                   "\nprevious=\nfor word; do\n"
                                   "  [ \"$previous\" = --output ] && out=$word\n"
                                   "  case $word in --output-document=*) out=${word#*=};; esac\n"
                                   "  previous=$word\ndone\nsize=$(stat -c %s \"$out\")\n" +
                                   body + "\n");
    REQUIRE(::chmod((folder_ / name).c_str(), 0755) == 0);
  }
  std::filesystem::path log() const { return folder_ / "log"; }
  // How often scripts have been called.
  int calls() const {
    const std::string text = read_text(log());
    int count = 0;
    for (size_t at = 0; (at = text.find("-- end\n", at)) != std::string::npos; ++at) ++count;
    return count;
  }

 private:
  std::string old_;
  TempFolder folder_;
};

inline std::string digest_of(const std::filesystem::path& file,
                             apps::HashKind kind = apps::HashKind::kSha256) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(descriptor >= 0);
  const std::string digest = apps::hash_of(descriptor, kind, file.string());
  ::close(descriptor);
  return digest;
}

}  // namespace verace::test
