// Tables of timed plans.
#include "bench/model/plan_times.h"

#include <algorithm>

#include "kernels/format.h"

namespace verace::bench {
namespace {

// All plans of one kind together, each as often as a step runs it.
struct Sum {
  size_t plans = 0;
  int compiled = 0, cached = 0;
  double ms = 0;
  int64_t largest_workspace = 0;
};

Sum sum_of(const PlanTable& table, TimedPlan PlanRow::*which) {
  Sum sum;
  for (const PlanRow& row : table.rows) {
    const TimedPlan& plan = row.*which;
    if (plan.engine.empty()) continue;
    ++sum.plans;
    sum.compiled += plan.runtime_compiled ? 1 : 0;
    sum.cached += plan.cached ? 1 : 0;
    sum.ms += plan.ms * static_cast<double>(row.asked);
    sum.largest_workspace = std::max(sum.largest_workspace, plan.workspace_bytes);
  }
  return sum;
}

double megabytes(int64_t bytes) { return static_cast<double>(bytes) / 1e6; }

nlohmann::json to_json(const TimedPlan& plan) {
  return {{"engine", plan.engine},
          {"runtime_compiled", plan.runtime_compiled},
          {"cached", plan.cached},
          {"workspace_bytes", plan.workspace_bytes},
          {"ms", plan.ms}};
}

std::string columns(const TimedPlan& plan, int64_t flops) {
  if (plan.engine.empty()) return "";
  return text::format("{:>10.4f}{:>9.1f}{:>10.1f}  {:<9}{:<28}", plan.ms,
                      static_cast<double>(flops) / plan.ms / 1e9, megabytes(plan.workspace_bytes),
                      plan.runtime_compiled ? "compiled" : "ready", plan.engine);
}

std::string phrase(const Sum& sum, double seconds) {
  return text::format(
      "{} plans, {} compiled at run time, {} from the cache, in {:.1f} s: {:.3f} ms per step",
      sum.plans, sum.compiled, sum.cached, seconds, sum.ms);
}

std::string cells(const Sum& sum, double seconds) {
  if (sum.plans == 0) return " - | - | - | - | - |";
  return text::format(" {:.3f} | {:.2f} | {} | {} | {:.0f} |", sum.ms, seconds, sum.compiled,
                      sum.cached, megabytes(sum.largest_workspace));
}

}  // namespace

int64_t made_anew(const PlanTable& table) {
  int64_t made = 0;
  for (const PlanRow& row : table.rows) {
    for (const TimedPlan* plan : {&row.heuristic, &row.tuned}) {
      made += !plan->engine.empty() && !plan->cached ? 1 : 0;
    }
  }
  return made;
}

nlohmann::json to_json(const PlanTable& table) {
  nlohmann::json rows = nlohmann::json::array();
  for (const PlanRow& row : table.rows) {
    nlohmann::json j = {{"convolution", row.convolution},
                        {"asked", row.asked},
                        {"flops", row.flops},
                        {"heuristic", to_json(row.heuristic)}};
    if (!row.tuned.engine.empty()) j["tuned"] = to_json(row.tuned);
    rows.push_back(j);
  }
  return {
      {"heuristic_seconds", table.heuristic_s}, {"tuned_seconds", table.tuned_s}, {"plans", rows}};
}

std::string text(const PlanTable& table) {
  std::vector<PlanRow> rows = table.rows;
  std::ranges::stable_sort(rows, [](const PlanRow& a, const PlanRow& b) {
    return a.heuristic.ms * static_cast<double>(a.asked) >
           b.heuristic.ms * static_cast<double>(b.asked);
  });
  const std::string head = "        ms  TFLOP/s   work MB  plan     engine                      ";
  std::string text = verace::text::format("{:<76}{:>6}{}{}\n", "convolution", "asked", head,
                                          table.tuned_s > 0 ? head : "");
  for (const PlanRow& row : rows) {
    text += verace::text::format("{:<76}{:>6}{}{}\n", row.convolution, row.asked,
                                 columns(row.heuristic, row.flops), columns(row.tuned, row.flops));
  }
  return text;
}

std::string one_line(const PlanTable& table) {
  std::string line = phrase(sum_of(table, &PlanRow::heuristic), table.heuristic_s);
  if (table.tuned_s > 0) line += "; tuned " + phrase(sum_of(table, &PlanRow::tuned), table.tuned_s);
  return line;
}

const char* const kPlansHead =
    "| case | precision | plans | heuristics: ms per step | planning s | compiled | cached "
    "| largest workspace MB | tuned: ms per step | planning s | compiled | cached "
    "| largest workspace MB |\n"
    "|--|--|--|--|--|--|--|--|--|--|--|--|--|\n";

std::string plans_row(const PlanTable& table, const std::string& name,
                      const std::string& precision) {
  return verace::text::format("| {} | {} | {} |{}{}\n", name, precision, table.rows.size(),
                              cells(sum_of(table, &PlanRow::heuristic), table.heuristic_s),
                              cells(sum_of(table, &PlanRow::tuned), table.tuned_s));
}

}  // namespace verace::bench
