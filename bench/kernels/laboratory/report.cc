// The laboratory's table and JSON.
#include "bench/kernels/laboratory/report.h"

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/check.h"

namespace verace::laboratory {
namespace {

using nlohmann::json;

double gigabytes_per_second(const Description& what, const Statistic& s) {
  return what.bytes / s.median * 1e-3;
}

json of(const Statistic& s) {
  return {{"median_us", s.median},
          {"p10_us", s.p10},
          {"p90_us", s.p90},
          {"samples", s.samples},
          {"runs_per_sample", s.per_sample}};
}

json of(const Description& what, const Statistic& s, const Roofline& roofline) {
  json j = of(s);
  j["gb_per_s"] = gigabytes_per_second(what, s);
  j["gflop_per_s"] = what.flops / s.median * 1e-3;
  j["percent_of_roofline"] = 100 * gigabytes_per_second(what, s) / roofline.best();
  return j;
}

json of(const DeviceReport& d) {
  return {{"name", d.name},
          {"emulated", d.emulated},
          {"compute_capability", std::to_string(d.major) + "." + std::to_string(d.minor)},
          {"multiprocessors", d.multiprocessors},
          {"memory_bytes", d.memory_bytes},
          {"l2_bytes", d.l2_bytes},
          {"clock_khz", d.clock_khz},
          {"memory_clock_khz", d.memory_clock_khz},
          {"driver", d.module},
          {"cuda_driver", d.driver},
          {"cuda_runtime", d.runtime}};
}

json of(const Result& r, const Report& report) {
  json j{{"operation", r.what.operation}, {"type", r.what.type},   {"shape", r.what.shape},
         {"variant", r.variant},          {"bytes", r.what.bytes}, {"flops", r.what.flops}};
  if (!r.wrong.empty()) {
    j["wrong"] = r.wrong;
    return j;
  }
  j["share_of_tolerance"] = r.used;
  j["cold_l2"] = of(r.what, r.cold, report.roofline);
  j["warm_l2"] = of(r.what, r.warm, report.roofline);
  return j;
}

json of(const Proof& p) {
  json j{{"operation", p.operation}, {"type", p.type}, {"variant", p.variant}, {"runs", p.runs}};
  j[p.ok() ? "share_of_tolerance" : "refused"] = p.ok() ? json(p.used) : json(p.failed);
  return j;
}

}  // namespace

void print_proofs(const std::vector<Proof>& proofs) {
  size_t refused = 0;
  for (const Proof& p : proofs) {
    if (!p.ok()) {
      ++refused;
      std::printf("REFUSED %s %s, variant '%s': %s\n", p.operation.c_str(), p.type.c_str(),
                  p.variant.c_str(), p.failed.c_str());
    } else if (p.variant != "shipped") {
      std::printf("proven  %s %s, variant '%s': %d runs, %.0f %% of the tolerance\n",
                  p.operation.c_str(), p.type.c_str(), p.variant.c_str(), p.runs, 100 * p.used);
    }
  }
  std::printf("%zu variants proven, %zu refused\n", proofs.size() - refused, refused);
  std::fflush(stdout);
}

void print_head(const Report& report) {
  const Roofline& r = report.roofline;
  std::printf(
      "\nroofline measured here: copy %.0f GB/s, triad %.0f GB/s; an empty kernel %.1f us\n"
      "%% of the better of the two; bytes from the geometry (see the page), cold and warm L2\n\n",
      r.copy, r.triad, r.empty.median);
  std::printf("%-29s %-10s %-34s %-18s %9s %19s %7s %5s %9s %7s %5s\n", "operation", "type",
              "shape", "variant", "cold us", "p10 .. p90", "GB/s", "%", "warm us", "GB/s", "%");
}

void print(const Result& r, const Report& report) {
  std::printf("%-29s %-10s %-34s %-18s ", r.what.operation.c_str(), r.what.type.c_str(),
              r.what.shape.c_str(), r.variant.c_str());
  if (!r.wrong.empty()) {
    std::printf("WRONG: %s\n", r.wrong.c_str());
    return;
  }
  const double cold = gigabytes_per_second(r.what, r.cold);
  const double warm = gigabytes_per_second(r.what, r.warm);
  const double best = report.roofline.best();
  std::printf("%9.2f %8.2f .. %8.2f %7.0f %5.1f %9.2f %7.0f %5.1f\n", r.cold.median, r.cold.p10,
              r.cold.p90, cold, 100 * cold / best, r.warm.median, warm, 100 * warm / best);
  std::fflush(stdout);
}

void write_json(const Report& report, const std::string& file) {
  json j{{"what", "kernel laboratory"}, {"commit", report.commit}, {"device", of(report.device)}};
  if (report.device.emulated) j["warning"] = "emulated on the CPU: the times mean nothing";
  j["roofline"] = {{"copy_gb_per_s", report.roofline.copy},
                   {"triad_gb_per_s", report.roofline.triad},
                   {"empty_kernel", of(report.roofline.empty)}};
  j["proofs"] = json::array();
  for (const Proof& p : report.proofs) j["proofs"].push_back(of(p));
  j["results"] = json::array();
  for (const Result& r : report.results) j["results"].push_back(of(r, report));
  j["left_out"] = report.left_out;
  const std::string part = file + ".part";
  std::ofstream(part) << j.dump(1) << "\n";
  if (std::rename(part.c_str(), file.c_str()) != 0) fail_input("cannot write " + file);
}

}  // namespace verace::laboratory
