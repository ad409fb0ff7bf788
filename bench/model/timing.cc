// Clocks of steps.
#include "bench/model/timing.h"

#include <algorithm>
#include <chrono>

#include "engine/stream.h"
#include "engine/transfer.h"
#include "kernels/check.h"
#include "kernels/dispatch.h"

namespace verace::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kAhead = 4;  // steps that the host may be ahead of the device

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

std::vector<double> on_host(const std::function<void()>& step, double seconds, size_t least) {
  std::vector<double> times;
  const auto begin = Clock::now();
  while (times.size() < least || milliseconds_since(begin) < seconds * 1e3) {
    const auto start = Clock::now();
    step();
    times.push_back(milliseconds_since(start));
  }
  return times;
}

std::vector<double> on_device(const kernels::Exec& exec, const std::function<void()>& step,
                              double seconds, size_t least) {
  std::vector<engine::Event> events;
  for (size_t i = 0; i <= kAhead; ++i) events.emplace_back(engine::Event::Timing::kTimed);
  const auto event = [&](size_t i) -> engine::Event& { return events[i % events.size()]; };
  std::vector<double> times;
  const auto read_next = [&] {
    const size_t i = times.size();
    event(i + 1).synchronize();
    times.push_back(event(i + 1).milliseconds_since(event(i)));
  };
  engine::wait(exec);
  const auto begin = Clock::now();
  event(0).record(exec.stream);
  size_t enqueued = 0;
  while (enqueued < least || milliseconds_since(begin) < seconds * 1e3) {
    step();
    if (enqueued - times.size() == kAhead) read_next();
    event(++enqueued).record(exec.stream);
  }
  while (times.size() < enqueued) read_next();
  return times;
}

}  // namespace

std::vector<double> measure(const kernels::Exec& exec, const std::function<void()>& step,
                            double seconds, size_t least) {
  if constexpr (kernels::have_cuda) {
    if (exec.device == kernels::DeviceKind::kCuda) return on_device(exec, step, seconds, least);
  }
  return on_host(step, seconds, least);
}

std::vector<double> measure_latency(const kernels::Exec& exec, const std::function<void()>& step,
                                    double seconds, size_t least) {
  const auto whole = [&] {
    step();
    engine::wait(exec);
  };
  return on_host(whole, seconds, least);
}

std::vector<double> measure_parts(const kernels::Exec& exec,
                                  const std::vector<std::function<void()>>& parts) {
  std::vector<double> times;
  if constexpr (kernels::have_cuda) {
    if (exec.device == kernels::DeviceKind::kCuda) {
      std::vector<engine::Event> events;
      for (size_t i = 0; i <= parts.size(); ++i) events.emplace_back(engine::Event::Timing::kTimed);
      events[0].record(exec.stream);
      for (size_t i = 0; i < parts.size(); ++i) {
        parts[i]();
        events[i + 1].record(exec.stream);
      }
      events.back().synchronize();
      for (size_t i = 0; i < parts.size(); ++i) {
        times.push_back(events[i + 1].milliseconds_since(events[i]));
      }
      return times;
    }
  }
  for (const auto& part : parts) times.push_back(on_host(part, 0, 1)[0]);
  return times;
}

Times summary(std::vector<double> times) {
  VERACE_CHECK(!times.empty());
  std::ranges::sort(times);
  const auto at = [&](size_t tenths) {
    return times[std::min(times.size() - 1, times.size() * tenths / 10)];
  };
  return {at(5), at(1), at(9), times[0], times.size()};
}

}  // namespace verace::bench
