// The convolution plans of a case, as the heuristics choose them and as the clock does, timed.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/model/cases.h"

namespace verace::bench {

struct TimedPlan {
  std::string engine;  // cuDNN's: number and settings
  bool runtime_compiled = false, cached = false;
  int64_t workspace_bytes = 0;
  double ms = 0;
};

// One distinct convolution of the case.
struct PlanRow {
  std::string convolution;
  int64_t asked = 0, flops = 0;  // per run
  TimedPlan heuristic, tuned;    // tuned: engine empty where it was not asked for
};

struct PlanTable {
  std::vector<PlanRow> rows;
  double heuristic_s = 0, tuned_s = 0;  // until all of the case was planned; 0: not asked for
};

// Plans the case by the heuristics, and with `tuned` by the clock as well; times every plan. Only
// on CUDA, and once per process: plans are kept.
PlanTable time_plans(World& world, const CaseName& name, bool tuned);

// Plans that the file of an earlier process did not have.
int64_t made_anew(const PlanTable& table);

nlohmann::json to_json(const PlanTable& table);
// Slowest convolutions first.
std::string text(const PlanTable& table);
// "71 plans, 23 compiled at run time, 0 from the cache, planned in 1.2 s: 12.3 ms per step; ...".
std::string one_line(const PlanTable& table);
// Of a Markdown table; kPlansHead is its head.
extern const char* const kPlansHead;
std::string plans_row(const PlanTable& table, const std::string& name,
                      const std::string& precision);

}  // namespace verace::bench
