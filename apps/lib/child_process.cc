// posix_spawnp, two pipes, and a loop that also looks at the stop flag.
#include "apps/lib/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "apps/lib/signals.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

// In the program; above the standard streams and below what it opens itself.
constexpr int kLent = 3;
// How long a signal may wait for its answer.
constexpr int kPollMilliseconds = 100;

class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_, O_CLOEXEC) != 0) {
      fail_input(text::format("cannot make a pipe ({}): close other programs or raise ulimit -n",
                              std::strerror(errno)));
    }
  }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int reading() const { return ends_[0]; }
  int writing() const { return ends_[1]; }
  void close_end(int which) {
    if (ends_[which] >= 0) ::close(std::exchange(ends_[which], -1));
  }
  // Appends what is there; closes the end for good at the end of the stream.
  void read_into(std::string& text) {
    char buffer[4096];
    const ssize_t count = ::read(reading(), buffer, sizeof(buffer));
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (count <= 0) return close_end(0);
    const size_t room = kMostOutput - std::min(kMostOutput, text.size());
    text.append(buffer, std::min(room, static_cast<size_t>(count)));
  }

 private:
  int ends_[2] = {-1, -1};
};

class Actions {
 public:
  Actions() { posix_spawn_file_actions_init(&actions_); }
  ~Actions() { posix_spawn_file_actions_destroy(&actions_); }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;

  // In the program `target` is what `source` is here. Where both are one number, dup2 would leave
  // close-on-exec set; glibc's posix_spawn clears it (POSIX.1-2024 asks for that).
  void duplicate(int source, int target) {
    posix_spawn_file_actions_adddup2(&actions_, source, target);
  }
  void open_null(int target) {
    posix_spawn_file_actions_addopen(&actions_, target, "/dev/null", O_RDONLY, 0);
  }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

int exit_code(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

ChildResult run_child(const std::vector<std::string>& words, const ChildStreams& streams) {
  VERACE_CHECK(!words.empty());
  ChildResult result;
  Pipe output, errors;
  Actions actions;
  // Standard input first: kLent may be the number that `input` has here.
  if (streams.input >= 0) {
    actions.duplicate(streams.input, STDIN_FILENO);
  } else {
    actions.open_null(STDIN_FILENO);
  }
  actions.duplicate(output.writing(), STDOUT_FILENO);
  if (!streams.errors_to_terminal) actions.duplicate(errors.writing(), STDERR_FILENO);
  if (streams.lend >= 0) actions.duplicate(streams.lend, kLent);
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t child = -1;
  const int error =
      ::posix_spawnp(&child, words[0].c_str(), actions.get(), nullptr, arguments.data(), environ);
  if (error == ENOENT || error == ENOTDIR || error == EACCES) return result;
  if (error != 0) {
    fail_input(text::format("cannot start {} ({}): close other programs, or raise the limits",
                            words[0], std::strerror(error)));
  }
  result.found = true;
  output.close_end(1);
  errors.close_end(1);
  int status = 0;
  for (bool ended = false; !ended;) {
    pollfd waiting[2] = {{output.reading(), POLLIN, 0}, {errors.reading(), POLLIN, 0}};
    ::poll(waiting, 2, kPollMilliseconds);  // closed ends are -1, which poll leaves out
    if (waiting[0].revents != 0) output.read_into(result.output);
    if (waiting[1].revents != 0) errors.read_into(result.errors);
    if (stop_signal() != 0 && !result.stopped) {
      result.stopped = true;
      ::kill(child, SIGTERM);
    }
    // Not before both ends are closed, or output would be lost.
    if (output.reading() >= 0 || errors.reading() >= 0) continue;
    ended = ::waitpid(child, &status, WNOHANG) == child;
  }
  result.code = exit_code(status);
  return result;
}

}  // namespace verace::apps
