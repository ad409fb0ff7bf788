// The demonstration: the whole way from pictures to an attacked network, on pictures that it
// renders.
#pragma once

#include <cstdint>
#include <filesystem>
#include <ostream>
#include <string>

#include "apps/lib/attack_runner.h"
#include "apps/lib/evaluator.h"
#include "apps/lib/predictor.h"
#include "kernels/exec.h"

namespace verace::apps {

struct DemoOptions {
  std::filesystem::path out;  // must not exist, or be empty
  bool quick = false;         // fewer pictures and epochs
  uint64_t seed = 1;
  kernels::DeviceKind device = kernels::DeviceKind::kCpu;
  int threads = 0;  // 0: all processors
  bool quiet = false;
};

struct DemoResult {
  Evaluation pretrained, finetuned;  // on unseen pictures: the first task, and the second
  Predictions predictions;           // of a few pictures
  AttackResult attack;
  std::filesystem::path model;
  double seconds = 0;
  int signal = 0;  // that stopped it; then only a part of the rest is there
};

// Folder for a demonstration without a given one: runs/demo, or runs/demo-2 ... if that is taken.
std::filesystem::path free_demo_folder();

// Renders two data sets, trains a narrow ResNet-50 from scratch to tell striped squares from
// checkered ones, then fine-tunes it with the first 15 Keras layers frozen under a new head on a
// smaller set of discs; evaluates,
// judges single pictures and attacks. Explains itself on `out`; leaves everything in options.out,
// with a summary.txt. Throws Error(kInput) when the folder is not empty or cannot be made.
DemoResult run_demo(const DemoOptions& options, std::ostream& out);

}  // namespace verace::apps
