// The least time that a step's operations could take on this device: from their floating-point
// operations and bytes, and from rates that the same run has measured.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/model/cases.h"

namespace verace::bench {

// What the device does at best, by measurement.
struct Rates {
  double bytes = 0;  // per second: the larger of our own copy and triad, beyond all caches
  double flops = 0;  // per second, in the precision of the world: the largest product below
  std::string flops_by;
  double empty_launch_us = 0;  // between two events
};

nlohmann::json to_json(const Rates& rates);

// Of the world's precision: what FILE, a JSON object by precision, has from another process of the
// same run, else measure_rates(), which are added to it. FILE may be empty: then always measured.
Rates rates_of(const World& world, const std::string& file);

// Only on a CUDA device: times large convolutions and products of matrices by the libraries that
// the network uses, and the laboratory's copies.
Rates measure_rates(const World& world);

// An operation's work: every value that it reads or writes once, and its weights; without scratch.
// Times are not in it.
struct Cost {
  std::string name, kind;
  int64_t flops = 0, bytes = 0;
};
// In the order of the step's operations.
std::vector<Cost> costs(const engine::Step& step, const engine::LayerTable& table);

// max(flops / rate, bytes / rate), in milliseconds.
double least_ms(const Cost& cost, const Rates& rates);

// An operation, what it took and what it could have taken.
struct OperationTime {
  Cost cost;
  double ms = 0, least_ms = 0;
};
// Of the step of `c`, medians of `runs` runs operation by operation.
std::vector<OperationTime> time_operations(const Case& c, const World& world, const Rates& rates,
                                           int runs);

// For people: by kind (calls, ms, share, TFLOP/s, GB/s, share of the roofline), then the operations
// that lose most time, `most` of them.
std::string operations_table(const std::vector<OperationTime>& operations, size_t most);

}  // namespace verace::bench
