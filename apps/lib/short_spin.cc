// Starting the program anew with a setting of OpenMP's library.
#include "apps/lib/short_spin.h"

#include <sys/auxv.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdlib>

namespace verace::apps {
namespace {

constexpr const char* kTurns = "3000";  // of the waiting loop; the library's own number is 300000

// "ld-linux.so verace ...": the kernel has started the dynamic loader as the program, which then
// has no loader of its own. /proc/self/exe is the loader, and what it was told is not in argv.
bool started_by_loader() { return getauxval(AT_BASE) == 0; }

}  // namespace

void spin_briefly(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  if (started_by_loader()) return;
  // By its path: the process is named after what is started, and would be called "exe".
  std::array<char, PATH_MAX> path{};
  const ssize_t length = readlink("/proc/self/exe", path.data(), path.size() - 1);
  if (length <= 0 || static_cast<size_t>(length) == path.size() - 1) return;
  // Set before the start, it also keeps the new process from starting another.
  if (setenv("GOMP_SPINCOUNT", kTurns, 1) != 0) return;
  execv(path.data(), argv);
}

}  // namespace verace::apps
