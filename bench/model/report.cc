// Writing down a timed case.
#include "bench/model/report.h"

#include <sys/resource.h>

#include "kernels/conv2d.h"
#include "kernels/format.h"
#include "kernels/onednn/version.h"

namespace verace::bench {
namespace {

using nlohmann::json;

double images_per_second(const Case& c, double ms) {
  return static_cast<double>(c.pictures) / ms * 1e3;
}

// The sum of the operations' bounds, and what the arithmetic alone would take, in milliseconds.
struct StepBound {
  double roofline = 0, flops = 0;
};
std::optional<StepBound> bound_of(const Report& report) {
  if (!report.rates || report.operations.empty()) return {};
  StepBound bound;
  for (const OperationTime& o : report.operations) {
    bound.roofline += o.least_ms;
    bound.flops += static_cast<double>(o.cost.flops) / report.rates->flops * 1e3;
  }
  return bound;
}

json to_json(const Times& t) {
  return {{"ms", t.median},
          {"ms_p10", t.p10},
          {"ms_p90", t.p90},
          {"ms_least", t.least},
          {"runs", t.count}};
}

bool is_cuda(const World& world) { return world.exec.device == kernels::DeviceKind::kCuda; }

json device_json(const Report& report) {
  json j = {{"captured", report.captured},
            {"device_bytes_in_use", report.device_bytes_in_use},
            {"plans", kernels::conv_plan_report()}};
  if (report.eager) j["eager"] = to_json(*report.eager);
  if (report.latency) j["latency"] = to_json(*report.latency);
  if (report.rates) {
    j["rates"] = to_json(*report.rates);
  }
  if (const auto bound = bound_of(report)) {
    j["roofline_ms"] = bound->roofline;
    j["flops_only_ms"] = bound->flops;
  }
  return j;
}

const char* plans_of(const World& world) {
  if (!is_cuda(world)) return "-";
  const bool tuned = world.exec.convolutions.mode == kernels::ConvPlanning::Mode::kTuned;
  return tuned ? "tuned" : "heuristic";
}

}  // namespace

std::string engine_name(const World& world) {
  if (world.exec.device != kernels::DeviceKind::kCuda)
    return "Verace, " + kernels::onednn_version();
  return "Verace on " + world.device.name();
}

nlohmann::json to_json(const Report& report, const Case& c, const World& world, bool operations) {
  json j = to_json(report.step);
  j.update({{"case", report.name},
            {"device", world.device.name()},
            {"precision", std::string(engine::to_string(world.options.precision))},
            {"gflop", static_cast<double>(c.flops) / 1e9},
            {"gflops", static_cast<double>(c.flops) / report.step.median / 1e6},
            {"plan_s", report.plan_s},
            {"first_ms", report.first_ms},
            {"buffer_bytes_peak", report.buffer_bytes},
            {"peak_rss_bytes", peak_rss()},
            {"threads", world.exec.threads},
            {"engine", engine_name(world)}});
  if (c.pictures > 0) j["pictures_per_second"] = images_per_second(c, report.step.median);
  if (c.step) j["arena_bytes"] = c.step->summary().arena;
  if (is_cuda(world)) j.update(device_json(report));
  if (!operations) return j;
  json list = json::array();
  for (const OperationTime& o : report.operations) {
    list.push_back({{"name", o.cost.name},
                    {"kind", o.cost.kind},
                    {"ms", o.ms},
                    {"flops", o.cost.flops},
                    {"bytes", o.cost.bytes},
                    {"least_ms", o.least_ms}});
  }
  j["operations"] = list;
  return j;
}

const char* const kTableHead =
    "| case | precision | plans | step ms (p10 - p90) | images/s | eager ms | latency ms | TFLOP/s "
    "| % of roofline | % of FLOPs alone | memory MB | planning s |\n"
    "|--|--|--|--|--|--|--|--|--|--|--|--|\n";

std::string table_row(const Report& report, const Case& c, const World& world) {
  const auto bound = bound_of(report);
  const auto percent = [&](double ms) {
    return text::format("{:.1f}", 100 * ms / report.step.median);
  };
  const auto time = [](const std::optional<Times>& t) {
    return t ? text::format("{:.3f}", t->median) : std::string("-");
  };
  return text::format(
      "| {} | {} | {} | {:.3f} ({:.3f} - {:.3f}){} | {} | {} | {} | {:.1f} | {} | {} | {:.0f} | "
      "{:.1f} "
      "|\n",
      report.name, std::string(engine::to_string(world.options.precision)), plans_of(world),
      report.step.median, report.step.p10, report.step.p90,
      is_cuda(world) && c.step && !report.captured ? " not captured" : "",
      c.pictures > 0 ? text::format("{:.0f}", images_per_second(c, report.step.median)) : "-",
      time(report.eager), time(report.latency),
      static_cast<double>(c.flops) / report.step.median / 1e9,
      bound ? percent(bound->roofline) : "-", bound ? percent(bound->flops) : "-",
      static_cast<double>(report.buffer_bytes) / 1e6, report.plan_s);
}

std::string one_line(const Report& report, const Case& c) {
  std::string text = text::format("{:.3f} ms ({:.3f} - {:.3f})", report.step.median,
                                  report.step.p10, report.step.p90);
  if (c.pictures > 0)
    text += text::format(", {:.0f} images/s", images_per_second(c, report.step.median));
  if (const auto bound = bound_of(report)) {
    text += text::format(", {:.0f} % of the roofline", 100 * bound->roofline / report.step.median);
  }
  if (report.eager) text += text::format("; eager {:.3f} ms", report.eager->median);
  return text;
}

int64_t peak_rss() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

}  // namespace verace::bench
