// A session in the laboratory: what was asked for, proving, timing.
#pragma once

#include <string>
#include <vector>

#include "bench/kernels/laboratory/operations.h"
#include "bench/kernels/laboratory/report.h"

namespace verace::laboratory {

struct Choice {
  std::string only;     // operations whose "name type" contains this; empty: all
  std::string without;  // variants with this name are left out; empty: none
  Scale scale = Scale::kResNet50;
  int64_t batch = 64;
  int samples = 100;
  double seconds = 0;  // after which no further problem is begun; 0: no limit
  std::string commit = "unknown";
  std::string json;  // file; empty: none
};

// The problems of `scale` that were asked for; Error(kInput) if there are none.
Problems chosen(const Choice& choice, Scale scale);

// Proves all, then times what was proven; prints as it goes. True: nothing was refused or wrong.
bool prove_and_time(const Choice& choice);

}  // namespace verace::laboratory
