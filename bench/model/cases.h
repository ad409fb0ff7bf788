// The cases of the speed table, on the full-size network: one step each, and what it computed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/step.h"
#include "kernels/exec.h"
#include "layers/classifier.h"
#include "optim/adam.h"

namespace verace::bench {

// What a case needs for longer than its step: the network, the optimiser, the arena.
struct World {
  // Weights and network from a file, or, without one, v1.5 with a hidden layer of 3000, random.
  // Pixels are u8 [16, s, s, 3] from a raw file, or a fixed pattern. Both throw Error(kInput)
  // naming the file.
  World(int threads, const std::string& model_file, const std::string& pixel_file);

  kernels::Exec exec;
  std::unique_ptr<layers::Classifier> classifier;
  std::vector<uint8_t> pixels;
  std::shared_ptr<engine::Arena> arena = std::make_shared<engine::Arena>();
  std::unique_ptr<optim::Adam> adam;
};

struct Case {
  std::function<void()> run;                   // one step
  int64_t flops = 0, pictures = 0;             // per step
  int64_t trained = 0;                         // parameters that the step updates
  std::shared_ptr<engine::Step> step;          // for traces; null for sgemm
  std::function<std::vector<float>()> result;  // of the last step: logits [n, classes], the mean
                                               // loss, or attacked pictures [n, s, s, 3]
};

// infer1, infer16, train16_none, train16_keras15, train16_stages3 (forward, backward, Adam), fgsm16
// (gradient by the pixels, attacked pictures, epsilon 0.01) and sgemm (2048^3).
std::vector<std::string> case_names();
// The world must outlive the case and serves one case only.
Case make_case(World& world, const std::string& name);

}  // namespace verace::bench
