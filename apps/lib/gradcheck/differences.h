// The engine's gradients against central differences in double precision.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/lib/gradcheck/subject.h"

namespace verace::apps {

enum class Outcome {
  kPass,
  kFail,        // an error above the tolerance, or not a number
  kNotWritten,  // frozen, and left alone: good
  kWritten,     // frozen, but written: bad
  kZero,        // all differences are zero, which proves nothing: neither good nor wrong
};
bool is_good(Outcome outcome);
bool is_wrong(Outcome outcome);
const char* to_string(Outcome outcome);

// One row of the table.
struct CheckedTensor {
  std::string subject, group, layer, tensor;
  engine::Shape shape;
  int64_t elements = 0;  // compared
  double error = 0;      // the largest relative one; NaN or infinite if a gradient is
  double tolerance = 0;
  std::vector<int64_t> worst;  // where, an index per dimension
  double got = 0, want = 0;    // there: the engine's gradient and the difference
  Outcome outcome = Outcome::kPass;
};

struct DifferenceOptions {
  // Of each tensor: the engine's largest and others drawn at random; all where there are fewer; 0:
  // all.
  int64_t elements = 100;
  uint64_t seed = 1;
};

// For element i of a tensor: (f(x + h e_i) - f(x - h e_i)) / 2h, h = 1e-5, whose own error is of
// order h^2 + 1e-16 |f| / h, about 1e-10 (Nocedal & Wright 2006, Numerical Optimization, section
// 8.1). f takes the decisions of x at x - h and x + h, too: it is the smooth piece of f on which x
// lies, so no kink can lie between.
// The relative error is |got - want| / max(|got|, |want|, root mean square of all of the engine's
// gradient of the tensor, taken in double): small elements are measured by the size of their
// tensor, since that is how fp32 sums round. A gradient that is wrong cannot hide behind its own
// size: no root mean square is above the largest element, and that one is always compared (an
// element that is not a number counts as the largest, and fails).
std::vector<CheckedTensor> check_gradients(const Subject& subject,
                                           const DifferenceOptions& options);

}  // namespace verace::apps
