// Engines of the emulated cuDNN for one test, and convolutions to plan.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "kernels/cudnn/conv_spec.h"
#include "kernels/simt/emulator/fake_cudnn.h"

namespace verace::test {

using kernels::ConvPlanning;
using kernels::cudnn::ConvSpec;
using simt::emulator::fake_cudnn;
using simt::emulator::FakeEngine;

// Puts engines in force for as long as it lives; counters start at 0.
class FakeEngines {
 public:
  explicit FakeEngines(std::vector<FakeEngine> engines)
      : before_(std::exchange(fake_cudnn(), {.engines = std::move(engines)})) {}
  ~FakeEngines() { fake_cudnn() = before_; }
  FakeEngines(const FakeEngines&) = delete;
  FakeEngines& operator=(const FakeEngines&) = delete;

 private:
  simt::emulator::FakeCudnn before_;
};

inline FakeEngine plain_engine(const std::string& name, double milliseconds, int64_t workspace) {
  FakeEngine e;
  e.engine.name = name;
  e.engine.workspace_bytes = workspace;
  e.milliseconds = milliseconds;
  return e;
}

inline FakeEngine compiled_engine(const std::string& name, double milliseconds) {
  FakeEngine e = plain_engine(name, milliseconds, 64);
  e.engine.runtime_compiled = true;
  return e;
}

inline ConvSpec small_spec(int64_t batch = 1) {
  return {kernels::cudnn::ConvPass::kForward, {{batch, 5, 4, 8}, 16, 3, 3, 1, 1, 1, 1}, {}, {}, {}};
}

inline ConvPlanning tuned() {
  ConvPlanning rules;
  rules.mode = ConvPlanning::Mode::kTuned;
  return rules;
}

}  // namespace verace::test
