// The emulated device's settings, from the environment and from tests, and its counters.
#include "kernels/simt/emulator/options.h"

#include <cstdlib>
#include <cstring>

#include "kernels/check.h"
#include "kernels/simt/emulator/qualifiers.h"

namespace verace::simt::emulator {
namespace {

constexpr Schedule kSchedules[] = {{"forward", Order::kForward, 1},
                                   {"reverse", Order::kReverse, 1},
                                   {"random-1", Order::kRandom, 1},
                                   {"random-2", Order::kRandom, 2},
                                   {"scatter", Order::kScatter, 3}};

Schedule schedule_from_environment() {
  const char* wanted = std::getenv("VERACE_SIMT_SCHEDULE");
  if (wanted == nullptr || *wanted == '\0') return kSchedules[0];
  for (const Schedule& schedule : kSchedules) {
    if (std::strcmp(schedule.name, wanted) == 0) return schedule;
  }
  fail_input("VERACE_SIMT_SCHEDULE: use forward, reverse, random-1, random-2 or scatter");
}

Schedule& schedule_in_force() {
  static Schedule schedule = schedule_from_environment();
  return schedule;
}

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0' && std::strcmp(value, "0") != 0;
}

}  // namespace

std::span<const Schedule> schedules() { return kSchedules; }
void use_schedule(const Schedule& schedule) { schedule_in_force() = schedule; }
const Schedule& current_schedule() { return schedule_in_force(); }

Options& options() {
  static Options settings = [] {
    Options from_environment;
    from_environment.lazy = is_set("VERACE_SIMT_LAZY");
    if (is_set("VERACE_SIMT_MEMORY")) {
      from_environment.memory_limit = std::strtoull(std::getenv("VERACE_SIMT_MEMORY"), nullptr, 10);
    }
    return from_environment;
  }();
  return settings;
}

Counters& counters() {
  static Counters all{};
  return all;
}

const char* build_kind() {
#if VERACE_SIMT_CHECK
  return "check";
#elif defined(__SANITIZE_ADDRESS__)
  return "asan";
#else
  return "fast";
#endif
}

}  // namespace verace::simt::emulator
