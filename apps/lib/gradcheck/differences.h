// The engine's gradients against central differences in double precision.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/lib/gradcheck/subject.h"

namespace verace::apps {

enum class Outcome {
  kPass,
  kFail,        // an error above the tolerance, or not a number
  kNotWritten,  // frozen, and left alone: good
  kWritten,     // frozen, but written: bad
  kKinks,       // so many elements lie at kinks that the rest proves too little: bad
  kZero,        // all differences are zero, which proves nothing: bad
};
bool is_good(Outcome outcome);
const char* to_string(Outcome outcome);

// One row of the table.
struct CheckedTensor {
  std::string subject, group, layer, tensor;
  engine::Shape shape;
  int64_t elements = 0;  // compared
  int64_t kinks = 0;     // left out
  double error = 0;      // the largest relative one; NaN or infinite if a gradient is
  double tolerance = 0;
  std::vector<int64_t> worst;  // where, an index per dimension
  double got = 0, want = 0;    // there: the engine's gradient and the difference
  Outcome outcome = Outcome::kPass;
};

struct DifferenceOptions {
  int64_t elements = 100;  // of each tensor, drawn at random; all where there are fewer; 0: all
  uint64_t seed = 1;
};

// For element i of a tensor: (f(x + h e_i) - f(x - h e_i)) / 2h, h = 1e-5, whose own error is of
// order h^2 + 1e-16 |f| / h, about 1e-10 (Nocedal & Wright 2006, Numerical Optimization, section
// 8.1). If the decisions of f at x - h, x and x + h differ, a kink lies between: h = 1e-7 is tried,
// then the element is left out and counted. More than a fifth left out is kKinks.
// The relative error is |got - want| / max(|got|, |want|, root mean square of all `want` of the
// tensor): small elements are measured by the size of their tensor, since that is how fp32 sums
// round.
std::vector<CheckedTensor> check_gradients(const Subject& subject,
                                           const DifferenceOptions& options);

}  // namespace verace::apps
