// Temporary files: what they are called, that nothing takes them from who still writes, and what is
// removed of those that killed processes have left
#include "kernels/temporary_file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>

#include "tests/support/files.h"

namespace verace::temporary_file_test {
namespace {

namespace fs = std::filesystem;
using test::read_text;
using test::TempFolder;
using test::write_text;

TEST_CASE("a temporary file vanishes with its owner, or gets its name") {
  const TempFolder folder;
  {
    const TemporaryFile gone(folder.path().string());
    REQUIRE(gone.descriptor() >= 0);
    CHECK(folder.names().size() == 1);
    CHECK(::write(gone.descriptor(), "x", 1) == 1);
    TemporaryFile kept(folder.path().string());
    CHECK(kept.name() != gone.name());
    CHECK(kept.rename_to(folder / "kept"));
  }
  CHECK(folder.names() == std::vector<std::string>{"kept"});
  TemporaryFile stuck(folder.path().string());
  CHECK_FALSE(stuck.rename_to(folder / "no/such/folder"));
  CHECK(fs::exists(stuck.name()));
  CHECK(TemporaryFile(folder / "nowhere").descriptor() < 0);
}

// The name of what a killed process leaves.
std::string abandoned(const TempFolder& folder) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const TemporaryFile file(folder.path().string());
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  const auto names = folder.names();
  REQUIRE(names.size() == 1);
  return names[0];
}

TEST_CASE("names tell process and host") {
  const TempFolder folder;
  std::array<char, 256> host{};
  REQUIRE(::gethostname(host.data(), host.size() - 1) == 0);
  const std::string name = abandoned(folder);
  CHECK(name.starts_with(".verace-tmp-"));
  CHECK(name.ends_with(std::string("@") + host.data()));
  CHECK(name.find(std::to_string(::getpid()) + "-") == std::string::npos);  // the child's
}

TEST_CASE("where locks do not reach other machines, their files are left alone") {
  const TempFolder folder;
  const std::string ours = abandoned(folder);
  const std::string other = ".verace-tmp-1-0@another-host", old = ".verace-tmp-1-0";
  write_text(folder / other, "half");
  write_text(folder / old, "half");
  const std::string path = folder.path().string();
  CHECK(remove_abandoned_files(path, false) == 1);
  CHECK_FALSE(fs::exists(folder / ours));
  CHECK(fs::exists(folder / other));
  CHECK(fs::exists(folder / old));
  // On a disc of this machine a lock is all that is needed, also of what a container has left.
  CHECK(remove_abandoned_files(path, true) == 2);
  CHECK(folder.names().empty());
}

TEST_CASE("which file systems are known to be of one machine") {
  const TempFolder folder;
  CHECK(locks_reach_everyone(folder.path().string()));  // tests run on a disc, or in memory
  CHECK_FALSE(locks_reach_everyone("/proc"));           // for all that is not known
  CHECK_FALSE(locks_reach_everyone(folder / "nowhere"));
}

TEST_CASE("what is written is never taken for abandoned, at no instant of its life") {
  const TempFolder folder;
  const std::string path = folder.path().string();
  std::atomic<bool> done{false};
  std::atomic<int64_t> removed{0};
  std::thread remover([&] {
    while (!done) removed += remove_abandoned_files(path);
  });
  int lost = 0;
  for (int i = 0; i < 20'000; ++i) {
    TemporaryFile file(path);
    if (!file || !file.rename_to(folder / "f")) ++lost;
  }
  done = true;
  remover.join();
  CHECK(lost == 0);
  MESSAGE(removed.load(), " of them removed between their making and their lock, and made again");
}

TEST_CASE("files of other names, links and pipes stay") {
  const TempFolder folder;
  write_text(folder / ".verace-notes", "somebody's");
  write_text(folder / "elsewhere", "precious");
  fs::create_symlink(folder / "elsewhere", folder / ".verace-tmp-1-0@x");
  REQUIRE(::mkfifo((folder / ".verace-tmp-1-1@x").c_str(), 0600) == 0);
  CHECK(remove_abandoned_files(folder.path().string()) == 0);
  CHECK(folder.names().size() == 4);
  CHECK(read_text(folder / "elsewhere") == "precious");
  CHECK(remove_abandoned_files(folder / "nowhere") == 0);
}

}  // namespace
}  // namespace verace::temporary_file_test
