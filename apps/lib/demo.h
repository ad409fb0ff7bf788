// The demonstration: the whole way from pictures to an attacked network, on faces that it draws, or
// on real ones.
#pragma once

#include <cstdint>
#include <filesystem>
#include <ostream>
#include <string>

#include "apps/lib/attack_runner.h"
#include "apps/lib/evaluator.h"
#include "apps/lib/predictor.h"
#include "engine/device.h"

namespace verace::apps {

struct DemoOptions {
  std::filesystem::path out;      // must not exist, or be empty
  std::filesystem::path data;     // real faces (data/dataset.h); empty: drawn ones
  std::filesystem::path weights;  // of a ResNet-50 to start from; empty: a narrow one is trained
  bool quick = false;             // fewer pictures and epochs
  uint64_t seed = 1;
  engine::DeviceChoice device;
  engine::Launch launch = engine::Launch::kGraph;
  engine::Plans plans = engine::Plans::kHeuristic;
  int threads = 0;  // 0: all processors
  bool quiet = false;
};

struct DemoResult {
  Evaluation pretrained, finetuned;  // on unseen identities: light (if it was learnt), and fakes
  Predictions predictions;           // of a few pictures
  AttackResult attack;
  std::filesystem::path model;
  double seconds = 0;
  int signal = 0;  // that stopped it; then only a part of the rest is there
};

// Folder for a demonstration without a given one: runs/demo, or runs/demo-2 ... if that is taken.
std::filesystem::path free_demo_folder();

// Draws a data set of faces (data/faces/dataset.h), trains a quarter-width ResNet-50 from scratch
// to tell from where the light comes, then fine-tunes it with the first 15 Keras layers frozen and
// a new head to tell real from fake; evaluates on identities that it has not seen, face by face and
// video by video, judges single pictures and attacks.
//
// With options.data real faces take the place of the drawn ones (a test split is needed); with
// options.weights that network, with the report's head and schedule, takes the place of the narrow
// one. With both nothing is drawn.
//
// Explains itself on `out`; leaves everything in options.out, with a summary.txt. Throws
// Error(kInput) when the folder is not empty or cannot be made, and for bad data and weights,
// before anything is trained.
DemoResult run_demo(const DemoOptions& options, std::ostream& out);

}  // namespace verace::apps
