// Times per operation: a table for people, and a Chrome trace file (chrome://tracing, Perfetto).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace verace::engine {

struct TraceEvent {
  std::string name;  // "layer1.0.conv2 forward"
  std::string kind;  // "conv forward": what the table groups by
  double start_us = 0;
  double duration_us = 0;
  int64_t flops = 0;
};

class Trace {
 public:
  Trace() : origin_(std::chrono::steady_clock::now()) {}

  // Microseconds since the trace was made.
  double now_us() const;
  void add(TraceEvent event) { events_.push_back(std::move(event)); }
  const std::vector<TraceEvent>& events() const { return events_; }

  // Kinds by decreasing time: calls, milliseconds, share, GFLOP/s.
  std::string table() const;
  // The content of a trace file: Trace Event Format (JSON object form). Starts with kChromeStart.
  std::string chrome_json() const;
  static constexpr const char* kChromeStart = "{\"displayTimeUnit\":";

 private:
  std::chrono::steady_clock::time_point origin_;
  std::vector<TraceEvent> events_;
};

}  // namespace verace::engine
