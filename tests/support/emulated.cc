// The tests' way to the emulator, in builds that have one.
#include "tests/support/emulated.h"

#if VERACE_EMULATED
#include <cstdlib>
#include <string>

#include "kernels/simt/emulator/checker.h"
#include "kernels/simt/emulator/guard.h"
#include "kernels/simt/emulator/options.h"

namespace verace::test {
namespace emulator = simt::emulator;

void for_each_emulated_schedule(const std::function<void(const char* name)>& body) {
  if (std::getenv("VERACE_SIMT_SCHEDULE") != nullptr) {
    return body(std::string(emulator::current_schedule().name).c_str());
  }
  for (const emulator::Schedule& schedule : emulator::schedules()) {
    const emulator::UsedSchedule used(schedule);
    body(std::string(schedule.name).c_str());
  }
}

std::optional<uint64_t> kernels_launched() { return emulator::counters().launches; }
bool accesses_are_checked() { return emulator::checker::compiled_in; }
void forget_bytes(const void* p, size_t bytes) { emulator::forget(p, bytes); }
void remember_bytes(const void* p, size_t bytes) { emulator::remember(p, bytes); }
size_t unwritten_bytes(const void* p, size_t bytes) { return emulator::unwritten(p, bytes); }

}  // namespace verace::test

#else

namespace verace::test {

void for_each_emulated_schedule(const std::function<void(const char* name)>& body) {
  body("device");
}
std::optional<uint64_t> kernels_launched() { return std::nullopt; }
bool accesses_are_checked() { return false; }
void forget_bytes(const void*, size_t) {}
void remember_bytes(const void*, size_t) {}
size_t unwritten_bytes(const void*, size_t) { return 0; }

}  // namespace verace::test
#endif
