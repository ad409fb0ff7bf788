// Other programs, run without a shell: words go in as they are, output comes back as text.
#pragma once

#include <string>
#include <vector>

namespace verace::apps {

struct ChildStreams {
  // What the program reads as its standard input; -1: nothing.
  int input = -1;
  // Its errors go to our own stderr (a program that draws on the terminal) and not into the result.
  bool errors_to_terminal = false;
  // A descriptor that the program inherits although it is close-on-exec here, so that a lock on it
  // lives as long as the longer of the two; -1: none.
  int lend = -1;
};

struct ChildResult {
  bool found = false;          // false: no such program in PATH, and nothing else is set
  bool stopped = false;        // we ended it because a signal had arrived (apps/lib/signals.h)
  int code = -1;               // exit code, or 128 + signal
  std::string output, errors;  // at most kMostOutput bytes each; what is beyond is dropped
};
inline constexpr size_t kMostOutput = 65536;

// Runs words[0], found through PATH, with the other words as its arguments and waits for its end.
// While it runs, a stop signal that a SignalGuard has noted ends it (SIGTERM). Throws Error(kInput)
// naming the program where the system refuses to start it for another reason than its absence.
ChildResult run_child(const std::vector<std::string>& words, const ChildStreams& streams = {});

}  // namespace verace::apps
