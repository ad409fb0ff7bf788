// Costs of operations, their bounds, and the table of both.
#include "bench/model/roofline.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "bench/model/timing.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::bench {
namespace {

using engine::Operation;
using engine::Step;
using engine::Value;

constexpr double kAhead = 20;  // milliseconds of work that the host gets ahead of

// Storages that more than one operation touches, or that outlive the step.
std::set<int32_t> shared_storages(const Step& step) {
  std::map<int32_t, std::set<const Operation*>> users;
  std::set<int32_t> shared;
  for (const Operation& operation : step.operations()) {
    for (const auto* list : {&operation.reads, &operation.writes}) {
      for (const Value v : *list) {
        users[step.info(v).storage].insert(&operation);
        if (step.info(v).kept) shared.insert(step.info(v).storage);
      }
    }
  }
  for (const auto& [storage, operations] : users) {
    if (operations.size() > 1) shared.insert(storage);
  }
  return shared;
}

// "layer1.0.conv2 backward data" -> "layer1.0.conv2".
std::string layer_of(const std::string& operation) {
  return operation.substr(0, operation.find(' '));
}

// Weights that an operation reads outside the arena: fp32 where it packs them, else in the type of
// what it writes.
int64_t weight_bytes(const Operation& operation, const Step& step,
                     const engine::LayerTable& table) {
  const engine::Layer* layer = table.find(layer_of(operation.name));
  if (layer == nullptr || !operation.gradients.empty() || operation.writes.empty()) return 0;
  for (const Value v : operation.reads) {
    if (step.info(v).name.starts_with(layer->name + " packed")) return 0;
  }
  const bool packs = operation.kind == "pack weights";
  if (operation.flops == 0 && !packs) return 0;
  const int64_t size = packs ? 4 : engine::size_of(step.info(operation.writes[0]).dtype);
  return layer->parameter_count(false) * size;
}

// Adam reads values, gradients and both moments, and writes all but the gradients.
int64_t adam_bytes(const engine::LayerTable& table) {
  int64_t bytes = 0;
  for (const engine::Parameter* p : table.trainable_parameters()) {
    bytes += 6 * p->value.bytes() + p->gradient.bytes();
  }
  return bytes;
}

double median_of(std::vector<double> times) { return summary(std::move(times)).median; }

struct Sum {
  int calls = 0;
  double ms = 0, least = 0, flops = 0, bytes = 0;
  void add(const OperationTime& o) {
    ++calls;
    ms += o.ms;
    least += o.least_ms;
    flops += static_cast<double>(o.cost.flops);
    bytes += static_cast<double>(o.cost.bytes);
  }
};

std::string row(const std::string& name, const Sum& s, double total) {
  return text::format("{:<36}{:>6}{:>10.3f}{:>7.1f}{:>9.1f}{:>9.0f}{:>10.3f}{:>7.1f}\n", name,
                      s.calls, s.ms, 100 * s.ms / total, s.flops / s.ms / 1e9, s.bytes / s.ms / 1e6,
                      s.least, 100 * s.least / s.ms);
}

constexpr const char* kHead = " calls        ms      %  TFLOP/s     GB/s  least ms  % of it\n";

}  // namespace

nlohmann::json to_json(const Rates& rates) {
  return {{"bytes_per_second", rates.bytes},
          {"flops_per_second", rates.flops},
          {"flops_by", rates.flops_by},
          {"empty_launch_us", rates.empty_launch_us}};
}

std::vector<Cost> costs(const Step& step, const engine::LayerTable& table) {
  const std::set<int32_t> shared = shared_storages(step);
  std::vector<Cost> all;
  for (const Operation& operation : step.operations()) {
    Cost cost{operation.name, operation.kind, operation.flops, 0};
    for (const auto* list : {&operation.reads, &operation.writes}) {
      for (const Value v : *list) {
        if (shared.contains(step.info(v).storage)) cost.bytes += step.info(v).bytes();
      }
    }
    for (const engine::Tensor* gradient : operation.gradients) cost.bytes += gradient->bytes();
    cost.bytes += weight_bytes(operation, step, table);
    if (operation.kind == "adam") cost.bytes += adam_bytes(table);
    all.push_back(std::move(cost));
  }
  return all;
}

double least_ms(const Cost& cost, const Rates& rates) {
  return 1e3 * std::max(static_cast<double>(cost.flops) / rates.flops,
                        static_cast<double>(cost.bytes) / rates.bytes);
}

std::vector<OperationTime> time_operations(const Case& c, const World& world, const Rates& rates,
                                           int runs) {
  VERACE_CHECK(c.step != nullptr && runs > 0);
  std::vector<std::function<void()>> parts;
  for (const Operation& operation : c.step->operations()) {
    parts.emplace_back([&operation, &c] { operation.run(c.step->memory()); });
  }
  const double step_ms = median_of(measure(
      world.exec, [&] { c.run(); }, 0, 3));
  const double ahead = world.exec.device == kernels::DeviceKind::kCuda ? kAhead / step_ms : 0;
  std::vector<std::vector<double>> times(parts.size());
  for (int run = 0; run < runs; ++run) {
    for (int i = 0; i < static_cast<int>(std::min(std::ceil(ahead), 200.0)); ++i) c.run();
    const std::vector<double> once = measure_parts(world.exec, parts);
    for (size_t i = 0; i < once.size(); ++i) times[i].push_back(once[i]);
  }
  std::vector<OperationTime> result;
  const std::vector<Cost> work = costs(*c.step, world.classifier->table());
  for (size_t i = 0; i < work.size(); ++i) {
    result.push_back({work[i], median_of(times[i]), least_ms(work[i], rates)});
  }
  return result;
}

std::string operations_table(const std::vector<OperationTime>& operations, size_t most) {
  std::map<std::string, Sum> by_kind;
  Sum all;
  for (const OperationTime& o : operations) {
    by_kind[o.cost.kind].add(o);
    all.add(o);
  }
  std::vector<std::pair<std::string, Sum>> kinds(by_kind.begin(), by_kind.end());
  std::ranges::sort(kinds, [](const auto& a, const auto& b) { return a.second.ms > b.second.ms; });
  std::string text = text::format("{:<36}", "kind of operation") + kHead;
  for (const auto& [kind, sum] : kinds) text += row(kind, sum, all.ms);
  text += row("all", all, all.ms);
  std::vector<OperationTime> worst = operations;
  std::ranges::stable_sort(worst, [](const OperationTime& a, const OperationTime& b) {
    return a.ms - a.least_ms > b.ms - b.least_ms;
  });
  worst.resize(std::min(worst.size(), most));
  text += text::format("\n{:<36}", "operation, most time lost first") + kHead;
  for (const OperationTime& o : worst) {
    Sum one;
    one.add(o);
    text += row(o.cost.name, one, all.ms);
  }
  return text;
}

}  // namespace verace::bench
