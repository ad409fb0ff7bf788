// Atomic writing: success, and failures of the system that must leave the old file and nothing
// else.
#include "weights/atomic_file.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <functional>

#include "tests/weights/support.h"

namespace verace::weights::atomic_file_test {
namespace {

// Runs `action` in a child process whose files may have at most `limit` bytes; true when it threw
// Error(kInput) with `part` in its message. A child, because the limit cannot be raised again.
template <typename Action>
bool fails_under_size_limit(rlim_t limit, const std::string& part, Action action) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit size{limit, limit};
    if (::setrlimit(RLIMIT_FSIZE, &size) != 0) ::_exit(3);
    try {
      action();
    } catch (const Error& error) {
      const bool fits = error.kind() == ErrorKind::kInput && contains(error.what(), part);
      if (!fits) std::fprintf(stderr, "message: %s\n", error.what());
      ::_exit(fits ? 0 : 2);
    }
    ::_exit(1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_CASE("content is written, replaced, and may be empty") {
  const TempFolder folder;
  write_file_atomically(folder / "f", "first");
  CHECK(read_text(folder / "f") == "first");
  write_file_atomically(folder / "f", "2");
  CHECK(read_text(folder / "f") == "2");
  write_file_atomically(folder / "f", [](AtomicFile& file) {
    file.write("one ");
    file.write("two");
  });
  CHECK(read_text(folder / "f") == "one two");
  write_file_atomically(folder / "f", "");
  CHECK(read_text(folder / "f").empty());
  CHECK(folder.names() == std::vector<std::string>{"f"});
}

TEST_CASE("a name without a folder means the current one") {
  const TempFolder folder;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  write_file_atomically("plain", "x");
  std::filesystem::current_path(before);
  CHECK(read_text(folder / "plain") == "x");
}

TEST_CASE("a full disc leaves the old file and nothing else") {
  const TempFolder folder;
  const std::string old(10000, 'o');
  write_file_atomically(folder / "f", old);
  const std::string big(1 << 20, 'b');
  CHECK(fails_under_size_limit(65536, "nothing was changed",
                               [&] { write_file_atomically(folder / "f", big); }));
  CHECK(read_text(folder / "f") == old);
  CHECK(folder.names().size() == 1);
  CHECK(fails_under_size_limit(65536, "new: cannot write",
                               [&] { write_file_atomically(folder / "new", big); }));
  CHECK(folder.names().size() == 1);
}

TEST_CASE("a weight file that does not fit leaves the old one intact") {
  const TempFolder folder;
  const std::vector<float> small(10, 1.0f), large(100000, 2.0f);
  const TensorToWrite before[] = {{"w", {10}, small}};
  const TensorToWrite after[] = {{"w", {100000}, large}};
  write_safetensors(folder / "w", before, {});
  // Cut within the header, within the data, and just one byte short.
  write_safetensors(folder / "size", after, {});
  const rlim_t full = std::filesystem::file_size(folder / "size");
  std::filesystem::remove(folder / "size");
  for (const rlim_t limit : {rlim_t{0}, rlim_t{20}, rlim_t{5000}, full - 1}) {
    CHECK(fails_under_size_limit(limit, "/w: cannot",
                                 [&] { write_safetensors(folder / "w", after, {}); }));
    CHECK(WeightFile(folder / "w").read_f32("w") == small);
    CHECK(folder.names().size() == 1);
  }
}

TEST_CASE("an exception from the caller, or no commit, changes nothing") {
  const TempFolder folder;
  write_file_atomically(folder / "f", "old");
  CHECK_THROWS_AS(write_file_atomically(folder / "f",
                                        [](AtomicFile& file) {
                                          file.write("half");
                                          throw std::runtime_error("the caller's own");
                                        }),
                  std::runtime_error);
  { AtomicFile(folder / "f").write("forgotten"); }
  CHECK(read_text(folder / "f") == "old");
  CHECK(folder.names().size() == 1);
}

TEST_CASE("targets that cannot be written are named") {
  const TempFolder folder;
  CHECK_CONTAINS(input_error([&] { write_file_atomically(folder / "no/f", "x"); }),
                 "create the folder");
  write_text(folder / "file", "x");
  CHECK_CONTAINS(input_error([&] { write_file_atomically(folder / "file/f", "x"); }),
                 "create the folder");
  CHECK_CONTAINS(input_error([&] { write_file_atomically(folder.path(), "x"); }),
                 "not a regular file");
  CHECK_CONTAINS(input_error([&] { write_file_atomically(folder / "", "x"); }),
                 folder.path().string());
  CHECK_CONTAINS(input_error([&] { write_file_atomically("", "x"); }), "cannot");
  // A device must not be replaced by a file.
  CHECK_CONTAINS(input_error([&] { write_file_atomically("/dev/null", "x"); }),
                 "not a regular file");
  CHECK(std::filesystem::is_character_file("/dev/null"));
  CHECK_CONTAINS(input_error([&] { write_file_atomically(folder / std::string(300, 'n'), "x"); }),
                 "cannot");
  CHECK(folder.names().size() == 1);
}

TEST_CASE("links are followed and modes kept") {
  const TempFolder folder;
  std::filesystem::create_directory(folder / "real");
  write_text(folder / "real/f", "old");
  REQUIRE(::chmod((folder / "real/f").c_str(), 0640) == 0);
  std::filesystem::create_symlink("real/f", folder / "link");
  write_file_atomically(folder / "link", "new");
  CHECK(std::filesystem::is_symlink(folder / "link"));
  CHECK(read_text(folder / "real/f") == "new");
  struct stat info {};
  REQUIRE(::stat((folder / "real/f").c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0640);
}

// While one lives, the n-th step of that kind (from 1) fails with this error.
class PlantedFault {
 public:
  PlantedFault(FileStep step, int n, int error) {
    set_file_fault([this, step, n, error](FileStep now, const std::string&) {
      return now == step && ++seen_ == n ? error : 0;
    });
  }
  ~PlantedFault() { set_file_fault({}); }
  PlantedFault(const PlantedFault&) = delete;
  PlantedFault& operator=(const PlantedFault&) = delete;
  int seen() const { return seen_; }

 private:
  int seen_ = 0;
};

TEST_CASE("the old content gets the name it is to be kept under, once the new one is proven") {
  const TempFolder folder;
  const auto replace = [&](const std::string& content, const Commit& how) {
    AtomicFile file(folder / "f");
    file.write(content);
    file.commit(how);
  };
  replace("1", {{}, "old"});
  CHECK(folder.names() == std::vector<std::string>{"f"});
  std::string proven;
  const auto prove = [&](const std::string& written) {
    proven = read_text(written);
    CHECK(read_text(folder / "f") == "1");
    CHECK_FALSE(std::filesystem::exists(folder / "old"));
  };
  replace("2", {prove, "old"});
  CHECK(proven == "2");
  CHECK(read_text(folder / "f") == "2");
  CHECK(read_text(folder / "old") == "1");
  // As after the end of a process between the two renames: both names are one file.
  std::filesystem::remove(folder / "old");
  std::filesystem::create_hard_link(folder / "f", folder / "old");
  replace("3", {{}, "old"});
  CHECK(read_text(folder / "f") == "3");
  CHECK(read_text(folder / "old") == "2");
  const auto refuse = [](const std::string&) { throw std::runtime_error("not good"); };
  CHECK_THROWS_AS(replace("4", {refuse, "old"}), std::runtime_error);
  CHECK(read_text(folder / "f") == "3");
  CHECK(read_text(folder / "old") == "2");
  CHECK(folder.names().size() == 2);
}

TEST_CASE("nothing is renamed before it is on the disc and proven") {
  const TempFolder folder;
  write_text(folder / "f", "old");
  std::vector<FileStep> steps;
  set_file_fault([&](FileStep step, const std::string& name) {
    steps.push_back(step);
    // Until its last step the new content has another name, and is there from the sync on.
    CHECK(read_text(folder / "f") == (step == FileStep::kSyncFolder ? "new" : "old"));
    const bool of_old = step == FileStep::kNameOld || step == FileStep::kSyncFolder;
    if (step >= FileStep::kSync && !of_old) CHECK(read_text(name) == "new");
    return 0;
  });
  {
    AtomicFile file(folder / "f");
    file.write("ne");
    file.write("w");
    file.commit({[](const std::string&) {}, "kept"});
  }
  set_file_fault({});
  CHECK(steps == std::vector<FileStep>{FileStep::kCreate, FileStep::kWrite, FileStep::kWrite,
                                       FileStep::kSync, FileStep::kProve, FileStep::kKeepOld,
                                       FileStep::kNameOld, FileStep::kRename,
                                       FileStep::kSyncFolder});
}

TEST_CASE("a step that fails is named, and the file is the old or the new one") {
  struct Case {
    FileStep step;
    const char* said;
    bool replaced = false;
  };
  const Case cases[] = {{FileStep::kCreate, "/f: cannot create"},
                        {FileStep::kWrite, "/f: cannot write"},
                        {FileStep::kSync, "/f: cannot write to the disc"},
                        {FileStep::kProve, "/f: cannot read back"},
                        {FileStep::kKeepOld, "/f: cannot keep the old file"},
                        {FileStep::kNameOld, "/f: cannot keep the old file"},
                        {FileStep::kRename, "/f: cannot rename into place"},
                        {FileStep::kSyncFolder, "/f: is in place, but its folder", true}};
  for (const Case& c : cases) {
    for (const int error : {EIO, ENOSPC}) {
      if (c.replaced && error != EIO) continue;  // others say that folders cannot be synced here
      const TempFolder folder;
      write_text(folder / "f", "old");
      const PlantedFault fault(c.step, 1, error);
      const std::string message = input_error([&] {
        AtomicFile file(folder / "f");
        file.write("new");
        file.commit({[](const std::string&) {}, "kept"});
      });
      CHECK_CONTAINS(message, c.said);
      CHECK_CONTAINS(message, std::strerror(error));
      CHECK(fault.seen() == 1);
      CHECK(read_text(folder / "f") == (c.replaced ? "new" : "old"));
      const bool kept = std::filesystem::exists(folder / "kept");
      CHECK(kept == (c.step >= FileStep::kRename));
      if (kept) CHECK(read_text(folder / "kept") == "old");
      CHECK(folder.names().size() == (kept ? 2 : 1));
    }
  }
}

TEST_CASE("a file system without hard links: the old file is kept by renaming it") {
  for (const int error : {EPERM, EOPNOTSUPP, ENOSYS, EMLINK}) {
    const TempFolder folder;
    write_text(folder / "f", "old");
    write_text(folder / "kept", "older");
    const PlantedFault fault(FileStep::kKeepOld, 1, error);
    AtomicFile file(folder / "f");
    file.write("new");
    CHECK_NOTHROW(file.commit({{}, "kept"}));
    CHECK(fault.seen() == 1);
    CHECK(read_text(folder / "f") == "new");
    CHECK(read_text(folder / "kept") == "old");
    CHECK(folder.names().size() == 2);
  }
}

TEST_CASE("another process that clears up does not take the old file's second name") {
  const TempFolder folder;
  write_text(folder / "f", "old");
  int64_t removed = -1;
  set_file_fault([&](FileStep step, const std::string& name) {
    if (step != FileStep::kNameOld) return 0;
    CHECK(read_text(name) == "old");
    removed = remove_abandoned_files(folder.path().string());
    return 0;
  });
  AtomicFile file(folder / "f");
  file.write("new");
  CHECK_NOTHROW(file.commit({{}, "kept"}));
  set_file_fault({});
  CHECK(removed == 0);
  CHECK(read_text(folder / "kept") == "old");
}

// What a process leaves that is killed before the n-th step of this kind.
void die_before(FileStep step, int n, const std::function<void()>& action) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int seen = 0;
    set_file_fault([&](FileStep now, const std::string&) {
      if (now == step && ++seen == n) ::kill(::getpid(), SIGKILL);
      return 0;
    });
    action();
    ::_exit(1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
}

TEST_CASE("what killed processes leave is removed, what others still write is not") {
  const TempFolder folder;
  write_text(folder / "f", "old");
  write_text(folder / ".verace-notes", "somebody's");
  for (const FileStep step :
       {FileStep::kWrite, FileStep::kSync, FileStep::kNameOld, FileStep::kRename}) {
    die_before(step, 1, [&] {
      AtomicFile file(folder / "f");
      file.write("new");
      file.commit({{}, "kept"});
    });
    CHECK(read_text(folder / "f") == "old");
  }
  CHECK(folder.names().size() == 2 + 5 + 1);  // kNameOld: also the second name of the old file
  CHECK(read_text(folder / "kept") == "old");
  AtomicFile writing(folder / "f");
  writing.write("newer");
  CHECK(remove_abandoned_files(folder.path().string()) == 5);
  CHECK(folder.names().size() == 2 + 1 + 1);
  writing.commit();
  CHECK(read_text(folder / "f") == "newer");
  CHECK(remove_abandoned_files(folder.path().string()) == 0);
  CHECK(remove_abandoned_files(folder / "no such folder") == 0);
  CHECK(read_text(folder / ".verace-notes") == "somebody's");
}

}  // namespace
}  // namespace verace::weights::atomic_file_test
