// What is checked: a function, the point at which it is differentiated, and the gradients that the
// engine computed there.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "apps/lib/gradcheck/exact.h"
#include "engine/tensor.h"

namespace verace::apps {

// kChecked: `gradient` must be the derivative. kFrozen: it must not have been written. kConstant:
// the function depends on it, but nobody wants a derivative (running statistics).
enum class Wanted { kChecked, kFrozen, kConstant };

struct Quantity {
  std::string layer, tensor;  // "layer1.0.conv1", "weight"
  engine::Shape shape;
  Wanted wanted = Wanted::kChecked;
  std::vector<float> gradient = {};  // the engine's; empty for constants
  int64_t weight = 1;                // how many times as many elements as of others are checked
  bool written = false;              // of a frozen one: its gradient was touched
  std::string label = {};            // for people, where it is not `tensor`: "gamma"
};

// Values of all quantities, in their order.
using Point = std::vector<exact::Values>;

struct Subject {
  std::string name;   // "conv 3x3, stride 2"
  std::string group;  // what --layer calls it: "conv"
  double tolerance = 0;
  std::string reason;  // of the tolerance
  std::vector<Quantity> quantities;
  Point point;
  // The function in double precision, written apart from the engine.
  std::function<double(const Point&, exact::Decisions&)> function;
};

}  // namespace verace::apps
