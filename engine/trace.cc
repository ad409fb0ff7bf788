// The trace's table and file.
#include "engine/trace.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "kernels/format.h"

namespace verace::engine {

double Trace::now_us() const {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - origin_)
      .count();
}

std::string Trace::table() const {
  struct Row {
    std::string kind;
    int64_t calls = 0, flops = 0;
    double us = 0;
  };
  std::map<std::string, Row> by_kind;
  double total = 0;
  for (const TraceEvent& event : events_) {
    Row& row = by_kind[event.kind];
    row.kind = event.kind;
    ++row.calls;
    row.flops += event.flops;
    row.us += event.duration_us;
    total += event.duration_us;
  }
  std::vector<Row> rows;
  for (auto& [kind, row] : by_kind) rows.push_back(std::move(row));
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.us > b.us; });
  std::string text = text::format("{:<28}{:>7}{:>12}{:>8}{:>10}\n", "operation", "calls", "ms",
                                  "share", "GFLOP/s");
  for (const Row& row : rows) {
    const std::string rate =
        row.flops > 0 ? text::format("{:.1f}", static_cast<double>(row.flops) / row.us / 1e3) : "";
    text += text::format("{:<28}{:>7}{:>12.2f}{:>7.1f}%{:>10}\n", row.kind, row.calls, row.us / 1e3,
                         100 * row.us / total, rate);
  }
  return text;
}

std::string Trace::chrome_json() const {
  nlohmann::ordered_json events = nlohmann::ordered_json::array();
  for (const TraceEvent& event : events_) {
    events.push_back({{"name", event.name},
                      {"cat", event.kind},
                      {"ph", "X"},
                      {"ts", event.start_us},
                      {"dur", event.duration_us},
                      {"pid", 1},
                      {"tid", 1},
                      {"args", {{"flops", event.flops}}}});
  }
  const nlohmann::ordered_json document = {{"displayTimeUnit", "ms"}, {"traceEvents", events}};
  return document.dump();
}

}  // namespace verace::engine
