// The cases of the speed tables: one step of a network each, on any device, and what it computed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/device.h"
#include "engine/precision.h"
#include "engine/step.h"
#include "kernels/exec.h"
#include "layers/classifier.h"
#include "optim/adam.h"

namespace verace::bench {

struct WorldOptions {
  engine::DeviceChoice device;
  int threads = 0;  // of the host; 0: one per processor
  engine::Precision precision = engine::Precision::kFp32;
  kernels::ConvPlanning convolutions;
  // Weights and network from a file; without one, v1.5 with a hidden layer of 3000, random, of
  // these sizes.
  std::string model_file;
  int64_t stem_channels = 64, input_size = 224;
  std::string pixel_file;  // u8 [16, s, s, 3], raw; without one a fixed pattern
};

// The precisions that networks have on a device, the fastest first.
std::vector<engine::Precision> precisions(const engine::DeviceChoice& device);

// What a case needs for longer than its step: the device, the network, the optimiser, the arena.
struct World {
  // Throws Error(kInput) naming the file, the flag or the device.
  explicit World(const WorldOptions& options);

  WorldOptions options;
  engine::Device device;
  kernels::Exec exec;
  std::unique_ptr<layers::Classifier> classifier;
  std::vector<uint8_t> pixels;
  std::shared_ptr<engine::Arena> arena = std::make_shared<engine::Arena>();
  std::unique_ptr<optim::Adam> adam;
};

struct Case {
  int64_t flops = 0, pictures = 0;             // per step
  int64_t trained = 0;                         // parameters that the step updates
  std::shared_ptr<engine::Step> step;          // null for sgemm
  std::function<void()> after;                 // what follows the step; may be empty
  std::function<std::vector<float>()> result;  // of the last step: logits [n, classes], the mean
                                               // loss, or attacked pictures [n, s, s, 3]

  // One step; on CUDA it is enqueued, from the second one on as a captured graph.
  void run() const;
  // The same operation by operation, which is what run() does on the host.
  void run_eagerly() const;
};

// inferN, trainN_none, trainN_keras15, trainN_stages3 (forward, backward, Adam), fgsmN (gradient by
// the pixels, attacked pictures, epsilon 0.01), all of N pictures, and sgemm (2048^3).
// Throws Error(kInput) with the names that are known.
struct CaseName {
  std::string kind;    // "infer", "train", "fgsm", "sgemm"
  int64_t n = 0;       // pictures; 0 for sgemm
  std::string freeze;  // of train: "none", "keras:15", "stages:3"
};
CaseName parse_case(const std::string& name);

// The world must outlive the case and serves one case only.
Case make_case(World& world, const CaseName& name);

}  // namespace verace::bench
