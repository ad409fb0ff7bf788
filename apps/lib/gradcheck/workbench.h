// One layer on a workbench: a step of that layer alone, with random inputs, weights and output
// gradients.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/lib/gradcheck/faults.h"
#include "apps/lib/gradcheck/subject.h"
#include "engine/layer_table.h"
#include "engine/step.h"
#include "kernels/exec.h"

namespace verace::apps {

// A parameter's or input's values in a Point, by name: "x", "conv.weight".
class Named {
 public:
  Named(const std::map<std::string, size_t>& index, const Point& point)
      : index_(index), point_(point) {}
  const exact::Values& operator[](const std::string& name) const { return point_[index_.at(name)]; }

 private:
  const std::map<std::string, size_t>& index_;
  const Point& point_;
};

// What every check of this run is given.
struct CheckContext {
  kernels::Exec exec;
  uint64_t seed = 1;
  Fault fault = Fault::kNone;
  bool* planted = nullptr;  // set where the fault could be planted
};

// Gradient tensors whose every element is a pattern that no computation gives: what an operation
// leaves out shows (it is a NaN), and so does what it should have left alone.
void fill_with_canaries(const engine::Tensor& gradient);
bool holds_only_canaries(const engine::Tensor& gradient);

// Adds the table's parameters to the subject: trainable ones to be checked, frozen ones to be left
// alone, statistics as constants. Their gradients are taken over as they are.
void add_parameters(Subject& subject, const engine::LayerTable& table);

class Workbench {
 public:
  explicit Workbench(const CheckContext& context) : context_(context), builder_(context.exec) {}
  Workbench(const Workbench&) = delete;
  Workbench& operator=(const Workbench&) = delete;

  engine::StepBuilder& builder() { return builder_; }
  engine::LayerTable& table() { return table_; }
  // Gives the table's parameters random values: filters and weights +-sqrt(3 / fan_in), batch
  // norms' gamma and running variance 0.5 to 1.5, all others +-0.5. Call it before layers read
  // them.
  void draw_parameters();
  // An input of the layer with random values in [-1, 1], its gradient wanted.
  engine::Value input(const std::string& name, engine::Shape shape);

  // The exact counterpart of the layer: its output for a point.
  using Forward = std::function<exact::Values(const Named&, exact::Decisions&)>;
  // Runs the step: backward of y with random output gradients in [-1, 1], or, if the layer's output
  // is a loss (an operation of its own gave gradients), without. The function is then the sum of
  // forward's elements times these numbers; never a plain sum, in which errors may cancel.
  Subject run(const std::string& name, const std::string& group, engine::Value y,
              const Forward& forward);
  Subject run_loss(const std::string& name, const std::string& group, const Forward& forward);

 private:
  Subject finish(Subject subject, const Forward& forward);

  CheckContext context_;
  engine::StepBuilder builder_;
  engine::LayerTable table_;
  std::vector<std::pair<std::string, engine::Value>> inputs_;
  engine::Value dy_;  // absent: a loss
};

}  // namespace verace::apps
