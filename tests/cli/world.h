// What the tests of commands share: pictures and a trained network, and the check of a refusal.
#pragma once

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <initializer_list>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/format.h"
#include "tests/cli/process.h"

namespace verace::test {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

// Pictures and one small trained network ("data" and "run"), made once for all cases.
class World {
 public:
  World() {
    // Threads that wait actively would make the commands crawl while other tests run beside them.
    setenv("OMP_WAIT_POLICY", "passive", 1);
    write_pictures(folder_ / "data", 12, 6);
    const Finished trained = run(train("run"));
    INFO(trained.err);
    REQUIRE(trained.code == 0);
  }

  static World& get() {
    static World world;
    return world;
  }
  std::string operator/(const std::string& name) const { return (folder_ / name).string(); }
  const fs::path& path() const { return folder_.path(); }

  Finished run(const Words& words) const { return start(words)->wait(); }
  std::unique_ptr<Process> start(const Words& words) const {
    return std::make_unique<Process>(verace_program(), words, folder_.path());
  }
  // Inside of a shell that has run `setup` before ("ulimit -f 8") and adds `redirection`.
  Finished run_in_shell(const std::string& setup, const Words& words,
                        const std::string& redirection = "") const {
    Words all = {"-c", setup + "; exec \"$@\" " + redirection, "sh", verace_program()};
    all.insert(all.end(), words.begin(), words.end());
    return Process("/bin/sh", all, folder_.path()).wait();
  }
  // A training run into `out`, with further words; a flag that is given again replaces its value.
  Words train(const std::string& out, const Words& more = {}) const {
    Words words = {"train",
                   "--data",
                   *this / "data",
                   "--weights",
                   "none",
                   "--width",
                   "0.0625",
                   "--input-size",
                   "32",
                   "--head",
                   "8",
                   "--activation",
                   "leaky:0.05",
                   "--epochs",
                   "1",
                   "--batch",
                   "8",
                   "--lr",
                   "1e-3",
                   "--threads",
                   "1",
                   "--quiet",
                   "--out",
                   *this / out};
    for (size_t i = 0; i < more.size(); ++i) {
      const auto known = std::ranges::find(words, more[i]);
      if (known == words.end() || !more[i].starts_with("--")) {
        words.push_back(more[i]);
      } else {
        *(known + 1) = more[++i];
      }
    }
    return words;
  }
  // Every file and folder but the program's output, with what changes when a file is written.
  std::map<std::string, std::string> listing() const {
    std::map<std::string, std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
      struct stat info {};
      REQUIRE(::lstat(entry.path().c_str(), &info) == 0);
      std::string& state = names[entry.path().string()];
      if (!S_ISREG(info.st_mode)) continue;
      state = text::format("inode {}, {} bytes, written {}.{}", info.st_ino, info.st_size,
                           info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    }
    names.erase(*this / "stdout");
    names.erase(*this / "stderr");
    return names;
  }

 private:
  TempFolder folder_;
};

// Parts of a message: one or several. (As Words, {"a", "b"} could also mean one string.)
struct Parts : Words {
  Parts(const char* part) : Words{part} {}
  Parts(const std::string& part) : Words{part} {}
  Parts(std::initializer_list<std::string> parts) : Words(parts) {}
  Parts(const Words& parts) : Words(parts) {}
};

inline std::string command_text(const Words& words) {
  std::string line = "verace";
  for (const std::string& word : words) line += " " + one_line(word);
  return line;
}

// Exit code 2 and one line of error at the end, which starts with "verace: " and says all of
// `expected`; before it there may only be notes.
inline void expect_error(const Finished& finished, const Parts& expected) {
  INFO("stderr: ", finished.err);
  CHECK(finished.code == 2);
  int errors = 0;
  std::string last;
  std::istringstream lines(finished.err);
  for (std::string line; std::getline(lines, line); last = line) {
    const bool note = line.starts_with("device: ") || line.starts_with("ASSUMPTION: ") ||
                      line.starts_with("note: ");
    if (!note) ++errors;
  }
  CHECK(errors == 1);
  CHECK(last.starts_with("verace: "));
  for (const std::string& part : expected) {
    CHECK_MESSAGE(last.find(part) != std::string::npos, "not said: ", part);
  }
}

// A failure after work had begun: no file of `before` is touched or gone, and the new files are
// `left`.
inline void expect_nothing_lost(const std::map<std::string, std::string>& before, Words left) {
  const World& world = World::get();
  const auto after = world.listing();
  for (const auto& [name, state] : before) {
    CHECK_MESSAGE(after.contains(name), "lost: ", name);
    if (after.contains(name)) CHECK_MESSAGE(after.at(name) == state, "touched: ", name);
  }
  Words news;
  for (const auto& [name, state] : after) {
    if (!before.contains(name) && !state.empty()) news.push_back(name);
  }
  for (std::string& name : left) name = world / name;
  std::ranges::sort(left);
  CHECK(news == left);
}
inline void expect_failure(const Words& words, const Parts& expected, const Words& left) {
  const auto before = World::get().listing();
  INFO(command_text(words));
  expect_error(World::get().run(words), expected);
  expect_nothing_lost(before, left);
}

// Bad input: an error that says all of `expected`; nothing new is left behind and no file touched.
inline void expect_refusal(const Words& words, const Parts& expected) {
  const World& world = World::get();
  const auto before = world.listing();
  INFO(command_text(words));
  expect_error(world.run(words), expected);
  CHECK(world.listing() == before);
}

}  // namespace verace::test
