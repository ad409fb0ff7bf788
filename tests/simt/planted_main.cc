// Runs one planted case under all schedules and says what was noticed: a program of its own,
// because some bugs kill the process.
//
//   simt_planted            the names of all cases
//   simt_planted NAME       REPORT text | RESULT wrong or schedule-dependent | SILENT; exit code 0
//                           only for SILENT
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include "kernels/simt/emulator/options.h"
#include "tests/simt/planted.h"

namespace verace::test {

std::vector<float> numbers(size_t n) {
  std::vector<float> values(n);
  for (size_t i = 0; i < n; ++i) {
    values[i] = static_cast<float>((i * 37 + 11) % 101) * 0.37f + 0.01f;
  }
  return values;
}

namespace {

std::vector<PlantedCase> all_cases() {
  std::vector<PlantedCase> cases;
  for (const auto group : {planted_synchronisation(), planted_warp(), planted_memory(),
                           planted_launch(), look_alikes()}) {
    cases.insert(cases.end(), group.begin(), group.end());
  }
  return cases;
}

bool is_wrong(const Outcome& outcome) {
  for (size_t i = 0; i < outcome.got.size(); ++i) {
    const float bound = 1e-5f * std::abs(outcome.want[i]);
    if (!(std::abs(outcome.got[i] - outcome.want[i]) <= bound)) return true;
  }
  return outcome.got.size() != outcome.want.size();
}

int run(const PlantedCase& planted) {
  std::string noticed;
  std::vector<float> first;
  for (const auto& schedule : simt::emulator::schedules()) {
    simt::emulator::use_schedule(schedule);
    Outcome outcome;
    try {
      outcome = planted.run();
    } catch (const std::exception& error) {
      std::printf("REPORT (schedule %s) %s\n", schedule.name, error.what());
      return 1;
    }
    if (is_wrong(outcome)) noticed += std::string(" wrong:") + schedule.name;
    if (first.empty()) first = outcome.got;
    if (std::memcmp(first.data(), outcome.got.data(), first.size() * sizeof(float)) != 0) {
      noticed += std::string(" differs:") + schedule.name;
    }
  }
  std::printf(noticed.empty() ? "SILENT\n" : "RESULT%s\n", noticed.c_str());
  return noticed.empty() ? 0 : 1;
}

}  // namespace
}  // namespace verace::test

int main(int count, char** arguments) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  for (const auto& planted : verace::test::all_cases()) {
    if (count < 2) {
      std::puts(planted.name);
    } else if (std::strcmp(planted.name, arguments[1]) == 0) {
      return verace::test::run(planted);
    }
  }
  return count < 2 ? 0 : 2;
}
