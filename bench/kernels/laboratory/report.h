// What the laboratory found: a table for people while it runs, JSON for everything else.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "bench/kernels/laboratory/device_report.h"
#include "bench/kernels/laboratory/problem.h"
#include "bench/kernels/laboratory/proof.h"
#include "bench/kernels/laboratory/timing.h"

namespace verace::laboratory {

struct Result {
  Description what;
  std::string variant;
  std::string wrong;  // at this shape; empty: the answer was right, and the times count
  double used = 0;    // share of the tolerance
  Statistic cold, warm;
};

struct Report {
  std::string commit;
  DeviceReport device;
  Roofline roofline;
  std::vector<Proof> proofs;
  std::vector<Result> results;
  std::vector<std::string> left_out;  // for lack of time or memory, with the reason
};

void print_proofs(const std::vector<Proof>& proofs);
void print_head(const Report& report);
void print(const Result& result, const Report& report);

// Writes FILE anew; through a second file, so that a reader never sees half of it.
void write_json(const Report& report, const std::string& file);

}  // namespace verace::laboratory
