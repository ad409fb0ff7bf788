// Faults of the kind that people make, planted into a running step on purpose: to see that the
// check finds them, and how they look.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/layer_table.h"
#include "engine/step.h"

namespace verace::apps {

enum class Fault {
  kNone,
  kScaled,               // filter and weight gradients 5 % too large
  kSwapped,              // height and width of filter gradients swapped
  kShifted,              // weight gradients one element late
  kMissingAccumulation,  // of the two gradients that meet where a value forks, only one counts
  kForgottenMean,        // the loss' gradient without its 1/n
  kConstantStatistics,   // batch norm's mean and variance taken for constants
  kIgnoredRelu,          // the gradient passes where the (leaky) ReLU was closed
  kForgottenArea,        // average pooling's gradient without its 1/(h w)
  kFrozenWritten,        // a frozen parameter's gradient is written
  kNan,                  // one element of each weight gradient is not a number
};

struct FaultDescription {
  Fault fault;
  const char* name;  // as --plant spells it
  const char* what;  // for people
};
const std::vector<FaultDescription>& fault_descriptions();

// What breaks a step while it runs: give it the step's memory before the run, and every operation
// as the observer of Step::run().
class FaultInjector {
 public:
  // step and table must outlive it. Frozen parameters need gradient tensors for kFrozenWritten.
  // mean_loss: the step's loss is a mean over pictures.
  FaultInjector(Fault fault, const engine::Step& step, const engine::LayerTable& table,
                bool mean_loss);

  void before(const engine::StepMemory& memory);
  void after(const engine::Operation& operation, const engine::StepMemory& memory);
  // Something was really broken in the last run.
  bool planted() const { return planted_; }

 private:
  void break_parameters(const engine::Operation& operation);
  void break_values(const engine::Operation& operation, const engine::StepMemory& memory);
  void drop_second(const engine::Operation& operation, const engine::StepMemory& memory);
  void without_statistics(const engine::Operation& operation, const engine::StepMemory& memory);
  void without_relu(const engine::Operation& operation, const engine::StepMemory& memory);
  void scale(engine::Value v, const engine::StepMemory& memory, double factor);
  bool replaces_gradient(const engine::Operation& operation) const;
  void save_gradient(engine::Value v, const engine::StepMemory& memory);
  int64_t count(engine::Value v) const { return engine::element_count(step_.info(v).shape); }

  Fault fault_;
  const engine::Step& step_;
  const engine::LayerTable& table_;
  bool mean_loss_;
  bool planted_ = false;
  std::map<int32_t, int> contributions_;  // by value: gradients written so far
  // By value, as written (steps overwrite them): what the replaced operations have read.
  std::map<int32_t, std::vector<float>> gradients_;
};

}  // namespace verace::apps
