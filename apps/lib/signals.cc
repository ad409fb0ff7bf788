// The stop flag and its handlers.
#include "apps/lib/signals.h"

#include <csignal>

#include "kernels/check.h"

namespace verace::apps {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM};

volatile std::sig_atomic_t arrived = 0;
struct sigaction previous[2];
bool guarded = false;

void handle(int number) { arrived = number; }

}  // namespace

SignalGuard::SignalGuard() {
  VERACE_CHECK(!guarded, "one SignalGuard at a time");
  guarded = true;
  arrived = 0;
  struct sigaction action = {};
  action.sa_handler = handle;
  // The second signal finds the default action: whoever insists gets out at once. Interrupted
  // system calls go on.
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigemptyset(&action.sa_mask);
  for (int i = 0; i < 2; ++i) {
    VERACE_CHECK(sigaction(kSignals[i], &action, &previous[i]) == 0);
    // What is ignored (nohup, background jobs of scripts) stays ignored.
    if (previous[i].sa_handler == SIG_IGN) sigaction(kSignals[i], &previous[i], nullptr);
  }
}

SignalGuard::~SignalGuard() {
  for (int i = 0; i < 2; ++i) sigaction(kSignals[i], &previous[i], nullptr);
  guarded = false;
}

int stop_signal() { return arrived; }

void set_stop_signal(int number) { arrived = number; }

}  // namespace verace::apps
