// Proving first, then timing what was proven, at shapes where it is proven once more.
#include "bench/kernels/laboratory/session.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>

#include "kernels/check.h"

namespace verace::laboratory {
namespace {

using Clock = std::chrono::steady_clock;

std::string label(const Description& what) {
  return what.operation + " " + what.type + " " + what.shape;
}

// Right at this very shape, against the CPU's implementation? Then its times.
Result time_variant(Problem& problem, size_t variant, const std::vector<Values>& want,
                    Stopwatch& stopwatch) {
  Result result{problem.what(), problem.variants()[variant], "", 0, {}, {}};
  problem.reset();
  problem.run(variant, nullptr);
  wait_for_device();
  const test::Verdict verdict = judge(problem.outputs(), want);
  result.wrong = verdict.ok ? problem.damage() : verdict.message;
  result.used = verdict.used;
  if (!result.wrong.empty()) return result;
  const Work work = [&](CUstream_st* stream) { problem.run(variant, stream); };
  result.cold = stopwatch.cold(work);
  result.warm = stopwatch.warm(work);
  return result;
}

// False: something was wrong.
bool time_problem(Problem& problem, const Choice& choice, Stopwatch& stopwatch, Report& report) {
  problem.prepare(0);
  const std::vector<Values> want = problem.answer(kernels::DeviceKind::kCpu);
  const std::vector<std::string> names = problem.variants();
  bool right = true;
  for (size_t variant = 0; variant < names.size(); ++variant) {
    if (!choice.without.empty() && names[variant] == choice.without) continue;
    if (!proof_of(report.proofs, problem.what(), names[variant]).ok()) continue;
    report.results.push_back(time_variant(problem, variant, want, stopwatch));
    print(report.results.back(), report);
    right = right && report.results.back().wrong.empty();
  }
  problem.release();
  return right;
}

bool time_all(const Choice& choice, Clock::time_point begin, Stopwatch& stopwatch, Report& report) {
  bool right = true;
  for (const auto& problem : chosen(choice, choice.scale)) {
    const double passed = std::chrono::duration<double>(Clock::now() - begin).count();
    if (choice.seconds > 0 && passed > choice.seconds) {
      report.left_out.push_back(label(problem->what()) + ": the time was up");
      continue;
    }
    right = time_problem(*problem, choice, stopwatch, report) && right;
    if (!choice.json.empty()) write_json(report, choice.json);
  }
  return right;
}

}  // namespace

Problems chosen(const Choice& choice, Scale scale) {
  Problems all = all_problems({scale, choice.batch});
  std::erase_if(all, [&](const auto& problem) {
    const std::string name = problem->what().operation + " " + problem->what().type;
    return name.find(choice.only) == std::string::npos;
  });
  if (all.empty()) fail_input("no operation matches '" + choice.only + "'");
  return all;
}

bool prove_and_time(const Choice& choice) {
  const auto begin = Clock::now();
  Report report;
  report.commit = choice.commit;
  report.device = device_report();
  report.proofs = prove(chosen(choice, Scale::kProof), choice.without);
  print_proofs(report.proofs);
  const bool proven = std::all_of(report.proofs.begin(), report.proofs.end(),
                                  [](const Proof& p) { return p.ok(); });
  Stopwatch stopwatch(choice.samples);
  report.roofline = measure_roofline(stopwatch);
  print_head(report);
  const bool right = time_all(choice, begin, stopwatch, report);
  for (const std::string& line : report.left_out) std::printf("LEFT OUT %s\n", line.c_str());
  if (!choice.json.empty()) write_json(report, choice.json);
  return proven && right;
}

}  // namespace verace::laboratory
