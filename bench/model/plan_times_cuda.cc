// Making and timing all plans of a case.
#include <chrono>
#include <map>

#include "bench/model/plan_times.h"
#include "engine/transfer.h"
#include "kernels/check.h"
#include "kernels/cudnn/plan.h"

namespace verace::bench {
namespace {

using kernels::ConvPlanning;
using kernels::cudnn::ConvPlan;
using kernels::cudnn::ConvPlans;

double plan_case(World& world, const CaseName& name, ConvPlanning::Mode mode) {
  world.exec.convolutions.mode = mode;
  const auto start = std::chrono::steady_clock::now();
  make_case(world, name);
  engine::wait(world.exec);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

TimedPlan time_plan(const ConvPlan& plan, const kernels::Exec& exec) {
  return {plan.engine().name, plan.engine().runtime_compiled, plan.cached(),
          plan.engine().workspace_bytes, plan.measure(exec)};
}

}  // namespace

PlanTable time_plans(World& world, const CaseName& name, bool tuned) {
  ConvPlans& plans = ConvPlans::of_process();
  VERACE_CHECK(plans.list().empty(), "plans were made before");
  PlanTable table;
  table.heuristic_s = plan_case(world, name, ConvPlanning::Mode::kHeuristic);
  std::map<std::string, size_t> row_of;
  std::map<const ConvPlan*, bool> first;
  for (const auto& [plan, asked] : plans.list()) {
    const std::string convolution = to_string(plan->spec());
    row_of[convolution] = table.rows.size();
    first[plan.get()] = true;
    table.rows.push_back(
        {convolution, asked, plan->spec().g.flops(), time_plan(*plan, world.exec), {}});
  }
  if (!tuned) return table;
  table.tuned_s = plan_case(world, name, ConvPlanning::Mode::kTuned);
  for (const auto& [plan, asked] : plans.list()) {
    if (first.contains(plan.get())) continue;
    table.rows[row_of.at(to_string(plan->spec()))].tuned = time_plan(*plan, world.exec);
  }
  return table;
}

}  // namespace verace::bench
