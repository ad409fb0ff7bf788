// All checks of gradients, or those that were asked for; and their report.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/lib/gradcheck/differences.h"
#include "apps/lib/gradcheck/faults.h"
#include "kernels/exec.h"

namespace verace::apps {

// What `elements` may be at most; every tensor of the checks is smaller.
inline constexpr int64_t kMostElements = 1'000'000;

struct GradcheckOptions {
  kernels::Exec exec;
  // A kind of layer ("conv", "batch_norm" ...), "network", or a layer or group of layers of the
  // network ("layer1.0.conv2", "layer1", Keras' names); empty: everything.
  std::string layer;
  uint64_t seed = 1;
  int64_t elements = 100;        // of each tensor of a single layer; 0: all
  int64_t network_elements = 4;  // of each tensor of the network, 20 times as many of its pictures;
                                 // 0: all
  Fault fault = Fault::kNone;
};

struct GradcheckResult {
  std::vector<CheckedTensor> rows;
  double seconds = 0;
  bool good() const;  // every row; an empty table is not
  int64_t wrong() const;
  int64_t not_proven() const;  // rows that are neither good nor wrong
};

// Throws Error(kInput) that begins with "--layer" for a name that is none, offering near ones, and
// with "--plant" where nothing of what is checked can have that fault, or where it was planted but
// changes no gradient of what is checked (it lies nearer to the input). Both come before the
// differences, which take the time.
GradcheckResult run_gradcheck(const GradcheckOptions& options);

// The kinds of layers that `layer` can name.
std::vector<std::string> gradcheck_groups();

// A table for people, whose good rows of the network are drawn together by stages unless `all`, and
// a verdict at the end.
std::string gradcheck_text(const GradcheckResult& result, bool all);
// {"good", "wrong", "not_proven", "seconds", "rows": [{kind, check, layer, tensor, shape, elements,
// error, tolerance, worst, engine, difference, verdict, good}]}; what is not a number is null.
std::string gradcheck_json(const GradcheckResult& result);

}  // namespace verace::apps
