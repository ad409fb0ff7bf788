// Runs the real program with arguments and collects what it prints.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "kernels/check.h"
#include "tests/apps/temporary_pictures.h"

namespace verace::test {

// The path of this build's `verace`: the tests' own code is the same in all builds.
const char* verace_program();

struct Finished {
  int code = -1;  // exit code, or 128 + signal
  std::string out, err;
};

class Process {
 public:
  // Starts `program` with its output going to files in `folder`.
  Process(const std::string& program, const std::vector<std::string>& arguments,
          const std::filesystem::path& folder)
      : out_(folder / "stdout"), err_(folder / "stderr") {
    std::vector<std::string> words = {program};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out_.c_str(), kFlags, 0600);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err_.c_str(), kFlags, 0600);
    const int error = posix_spawn(&pid_, program.c_str(), &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    VERACE_CHECK(error == 0, "cannot start " + program);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t id() const { return pid_; }
  void signal(int number) const { kill(pid_, number); }

  Finished wait() const {
    int status = 0;
    VERACE_CHECK(waitpid(pid_, &status, 0) == pid_);
    Finished finished;
    finished.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    finished.out = read_text(out_);
    finished.err = read_text(err_);
    return finished;
  }

 private:
  std::filesystem::path out_, err_;
  pid_t pid_ = -1;
};

}  // namespace verace::test
