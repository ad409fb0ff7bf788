// All checks of gradients, or those that were asked for; and their report.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "apps/lib/gradcheck/differences.h"
#include "apps/lib/gradcheck/faults.h"
#include "kernels/exec.h"

namespace verace::apps {

struct GradcheckOptions {
  kernels::Exec exec;
  // A kind of layer ("conv", "batch_norm" ...), "network", or a layer or group of layers of the
  // network ("layer1.0.conv2", "layer1", Keras' names); empty: everything.
  std::string layer;
  uint64_t seed = 1;
  int64_t elements = 100;        // of each tensor of a single layer; 0: all
  int64_t network_elements = 3;  // of each tensor of the network; 0: all
  Fault fault = Fault::kNone;
};

struct GradcheckResult {
  std::vector<CheckedTensor> rows;
  double seconds = 0;
  bool good() const;  // every row; an empty table is not
};

// Throws Error(kInput) that begins with "--layer" for a name that is none, offering near ones, and
// with "--plant" where nothing of what is checked can have that fault. `begin` is called with the
// name of each check before it runs.
GradcheckResult run_gradcheck(const GradcheckOptions& options,
                              const std::function<void(const std::string&)>& begin = {});

// The kinds of layers that `layer` can name.
std::vector<std::string> gradcheck_groups();

// A table for people, whose good rows of the network are drawn together by stages unless `all`, and
// a verdict at the end.
std::string gradcheck_text(const GradcheckResult& result, bool all);
// {"good", "seconds", "rows": [{check, kind, layer, tensor, shape, elements, kinks, error,
// tolerance, worst, got, want, outcome}]}; what is not a number is null.
std::string gradcheck_json(const GradcheckResult& result);

}  // namespace verace::apps
