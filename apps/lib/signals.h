// SIGINT and SIGTERM as a flag, so that long work ends between two steps and stores what it has.
#pragma once

namespace verace::apps {

// While one lives, the two signals only set the flag; a second signal ends the process at once, as
// without it. Restores the previous handlers. At most one at a time.
class SignalGuard {
 public:
  SignalGuard();
  ~SignalGuard();
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;
};

// Number of the signal that arrived since the guard was made; 0: none.
int stop_signal();
// As if that signal had arrived (for tests); 0 clears it.
void set_stop_signal(int number);

}  // namespace verace::apps
