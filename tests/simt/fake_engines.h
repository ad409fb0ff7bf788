// Engines of the emulated cuDNN for one test, and convolutions to plan.
#pragma once

#include <functional>
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

using PlanChange = std::function<void(ConvSpec&, ConvPlanning&)>;

// What makes another plan of one.
inline const std::vector<std::pair<std::string, PlanChange>>& changes() {
  static const std::vector<std::pair<std::string, PlanChange>> all = {
      {"batch", [](ConvSpec& s, ConvPlanning&) { ++s.g.x.n; }},
      {"height", [](ConvSpec& s, ConvPlanning&) { ++s.g.x.h; }},
      {"width", [](ConvSpec& s, ConvPlanning&) { ++s.g.x.w; }},
      {"channels", [](ConvSpec& s, ConvPlanning&) { ++s.g.x.c; }},
      {"filters", [](ConvSpec& s, ConvPlanning&) { ++s.g.k; }},
      {"filter height", [](ConvSpec& s, ConvPlanning&) { s.g.r = 2; }},
      {"filter width", [](ConvSpec& s, ConvPlanning&) { s.g.s = 2; }},
      {"stride", [](ConvSpec& s, ConvPlanning&) { s.g.stride_h = 2; }},
      {"padding", [](ConvSpec& s, ConvPlanning&) { s.g.pad_w = 0; }},
      {"pass",
       [](ConvSpec& s, ConvPlanning&) { s.pass = kernels::cudnn::ConvPass::kBackwardData; }},
      {"bias", [](ConvSpec& s, ConvPlanning&) { s.post.bias = true; }},
      {"add", [](ConvSpec& s, ConvPlanning&) { s.post.add = true; }},
      {"relu", [](ConvSpec& s, ConvPlanning&) { s.post.relu = true; }},
      {"leaky relu", [](ConvSpec& s, ConvPlanning&) { s.post = {.relu = true, .slope = 0.1f}; }},
      {"slope", [](ConvSpec& s, ConvPlanning&) { s.post = {.relu = true, .slope = 0.2f}; }},
      {"storage", [](ConvSpec& s, ConvPlanning&) { s.type = kernels::StorageType::kHalf; }},
      {"tf32", [](ConvSpec& s, ConvPlanning&) { s.tf32 = true; }},
      {"mode", [](ConvSpec&, ConvPlanning& p) { p.mode = ConvPlanning::Mode::kHeuristic; }},
      {"determinism", [](ConvSpec&, ConvPlanning& p) { p.deterministic = false; }},
      {"limit", [](ConvSpec&, ConvPlanning& p) { ++p.workspace_limit; }},
  };
  return all;
}

}  // namespace verace::test
