// Starting the program anew with a setting of OpenMP's library.
#include "apps/lib/short_spin.h"

#include <unistd.h>

#include <cstdlib>

namespace verace::apps {
namespace {

// Turns of the waiting loop. Steps of the full-size network take as long with 1000 as with the
// library's own 300000, where nothing else runs.
constexpr const char* kTurns = "3000";

}  // namespace

void spin_briefly(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  // Set before the start, it also keeps the new process from starting another.
  if (setenv("GOMP_SPINCOUNT", kTurns, 1) != 0) return;
  execv("/proc/self/exe", argv);
}

}  // namespace verace::apps
