// Kernels with one planted bug each, and correct ones that look like them: for the tests of the
// detectors.
#pragma once

#include <span>
#include <vector>

namespace verace::test {

struct Outcome {
  std::vector<float> got, want;
};

struct PlantedCase {
  const char* name;
  Outcome (*run)();
};

std::span<const PlantedCase> planted_synchronisation();
std::span<const PlantedCase> planted_warp();
std::span<const PlantedCase> planted_memory();
std::span<const PlantedCase> planted_launch();
std::span<const PlantedCase> look_alikes();

// n different positive numbers.
std::vector<float> numbers(size_t n);

}  // namespace verace::test
