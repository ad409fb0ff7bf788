// What is known of a timed case: as JSON, as a row of a table, as one line.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bench/model/cases.h"
#include "bench/model/roofline.h"
#include "bench/model/timing.h"

namespace verace::bench {

struct Report {
  std::string name;                     // of the case
  double plan_s = 0;                    // planning, with what cuDNN compiles or a file of plans has
  double first_ms = 0;                  // the first step, in which libraries load
  Times step;                           // as it runs in the program: on CUDA one captured graph
  bool captured = false;                // it really was
  std::optional<Times> eager, latency;  // CUDA: operation by operation; from call to result
  std::optional<Rates> rates;           // CUDA
  std::vector<OperationTime> operations;
  int64_t buffer_bytes = 0;         // the peak of our buffers in the memory that the step works in
  int64_t device_bytes_in_use = 0;  // CUDA: all that is taken of the device's memory, by anybody
};

// "Verace, oneDNN 2.6.3" or "Verace on cuda:0 (NVIDIA H200)": what computes.
std::string engine_name(const World& world);

// `operations`: with one entry for each.
nlohmann::json to_json(const Report& report, const Case& c, const World& world, bool operations);

// Of a Markdown table; kTableHead is its head.
extern const char* const kTableHead;
std::string table_row(const Report& report, const Case& c, const World& world);

// "18.123 ms (17.9 - 18.4), 14126 images/s, 52 % of the roofline; ...".
std::string one_line(const Report& report, const Case& c);

// The peak of resident memory of this process, in bytes.
int64_t peak_rss();

}  // namespace verace::bench
