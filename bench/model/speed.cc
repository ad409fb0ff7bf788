// Times whole steps of the full-size network (v1.5, 224x224, head 3000): one case per run, one JSON
// line.
//
//   verace_bench_model --case train16_keras15 --seconds 10 [--threads N] [--trace FILE] [--table]
// bench/peers/speed.py runs it in turn with the same work in PyTorch.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "kernels/check.h"
#include "kernels/format.h"
#include "kernels/gemm.h"
#include "layers/classifier.h"
#include "optim/adam.h"
#include "optim/freeze.h"
#include "weights/atomic_file.h"

namespace verace {
namespace {

struct Case {
  std::function<void()> run;           // one step
  int64_t flops = 0, pictures = 0;     // per step
  std::shared_ptr<engine::Step> step;  // for traces; null for sgemm
};

struct Bench {
  explicit Bench(const kernels::Exec& e) : exec(e), classifier(make_options()) {
    classifier.initialise_all(layers::Initialisation::kPyTorch, 1);
  }
  static layers::ClassifierOptions make_options() {
    layers::ClassifierOptions options;
    options.head_hidden = 3000;
    options.head_slope = 0.05;
    return options;
  }

  kernels::Exec exec;
  layers::Classifier classifier;
  std::shared_ptr<engine::Arena> arena = std::make_shared<engine::Arena>();
  std::unique_ptr<optim::Adam> adam;
};

Case make_sgemm(Bench& bench) {
  constexpr int64_t kSize = 2048;
  auto matrices = std::make_shared<std::vector<float>>(3 * kSize * kSize, 0.5f);
  Case c;
  c.flops = 2 * kSize * kSize * kSize;
  c.run = [&bench, matrices] {
    float* a = matrices->data();
    kernels::gemm(bench.exec, {.m = kSize,
                               .n = kSize,
                               .k = kSize,
                               .a = a,
                               .b = a + kSize * kSize,
                               .c = a + 2 * kSize * kSize});
  };
  return c;
}

template <typename Planned>
Case finish(Planned planned, int64_t n) {
  auto shared = std::make_shared<engine::Step>(std::move(planned.step));
  // Deterministic pixels; values do not change the speed.
  const engine::Step& step = *shared;
  std::byte* bytes = step.memory().bytes(planned.pictures);
  const bool floats = step.info(planned.pictures).dtype == engine::DType::kF32;
  for (int64_t i = 0; i < engine::element_count(step.info(planned.pictures).shape); ++i) {
    const auto pixel = static_cast<uint8_t>((i * 2654435761u) >> 13);
    if (floats) {
      reinterpret_cast<float*>(bytes)[i] = static_cast<float>(pixel) / 255.0f;
    } else {
      bytes[i] = std::byte{pixel};
    }
  }
  Case c;
  c.flops = step.summary().flops;
  c.pictures = n;
  c.step = shared;
  c.run = [shared] { shared->run(); };
  return c;
}

Case make_training(Bench& bench, const std::string& freeze, int64_t n) {
  optim::freeze(bench.classifier.table(), freeze);
  bench.classifier.table().allocate_gradients();
  bench.adam = std::make_unique<optim::Adam>(bench.classifier.table(), optim::AdamOptions{});
  layers::TrainingOptions options;
  options.append_update = [&bench](engine::StepBuilder& b) { bench.adam->append_update(b); };
  auto planned = bench.classifier.plan_training(bench.exec, bench.arena, n, options);
  for (int64_t i = 0; i < n; ++i)
    planned.step.memory().i32(planned.labels)[i] = static_cast<int32_t>(i % 2);
  return finish(std::move(planned), n);
}

Case make_fgsm(Bench& bench, int64_t n) {
  auto planned = bench.classifier.plan_gradient(bench.exec, bench.arena, n);
  for (int64_t i = 0; i < n; ++i)
    planned.step.memory().i32(planned.labels)[i] = static_cast<int32_t>(i % 2);
  return finish(std::move(planned), n);
}

using Maker = std::function<Case(Bench&)>;
const std::map<std::string, Maker>& makers() {
  static const std::map<std::string, Maker> table = {
      {"sgemm", make_sgemm},
      {"infer1",
       [](Bench& b) { return finish(b.classifier.plan_inference(b.exec, b.arena, 1), 1); }},
      {"infer16",
       [](Bench& b) { return finish(b.classifier.plan_inference(b.exec, b.arena, 16), 16); }},
      {"train16_none", [](Bench& b) { return make_training(b, "none", 16); }},
      {"train16_keras15", [](Bench& b) { return make_training(b, "keras:15", 16); }},
      {"train16_stages3", [](Bench& b) { return make_training(b, "stages:3", 16); }},
      {"fgsm16", [](Bench& b) { return make_fgsm(b, 16); }},
  };
  return table;
}

std::vector<double> measure(const Case& c, double seconds) {
  using Clock = std::chrono::steady_clock;
  c.run();
  c.run();
  std::vector<double> times;
  const auto begin = Clock::now();
  while (times.size() < 3 ||
         std::chrono::duration<double>(Clock::now() - begin).count() < seconds) {
    const auto start = Clock::now();
    c.run();
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  }
  std::ranges::sort(times);
  return times;
}

int64_t peak_rss() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

int run(int argc, char** argv) {
  CLI::App app("Times one case of the full-size network; prints one JSON line.");
  std::string name, trace_file;
  double seconds = 10;
  int threads = 0;
  bool table = false;
  std::vector<std::string> names;
  for (const auto& [key, maker] : makers()) names.push_back(key);
  app.add_option("--case", name, "what to time")->required()->check(CLI::IsMember(names));
  app.add_option("--seconds", seconds, "how long, after two warm-up steps");
  app.add_option("--threads", threads, "threads; 0: all processors");
  app.add_option("--trace", trace_file, "write a Chrome trace of one step here");
  app.add_flag("--table", table, "print the times per operation of five steps to stderr");
  CLI11_PARSE(app, argc, argv);
  Bench bench(kernels::make_exec(kernels::DeviceKind::kCpu, threads));
  const Case c = makers().at(name)(bench);
  const std::vector<double> times = measure(c, seconds);
  const auto at = [&](size_t tenths) {
    return times[std::min(times.size() - 1, times.size() * tenths / 10)];
  };
  const double median = at(5);
  nlohmann::json line = {{"case", name},
                         {"runs", times.size()},
                         {"ms", median},
                         {"ms_p10", at(1)},
                         {"ms_p90", at(9)},
                         {"ms_least", times[0]},
                         {"gflop", static_cast<double>(c.flops) / 1e9},
                         {"gflops", static_cast<double>(c.flops) / median / 1e6},
                         {"peak_rss_bytes", peak_rss()},
                         {"threads", bench.exec.threads},
                         {"engine", "Verace"}};
  if (c.pictures > 0) line["pictures_per_second"] = static_cast<double>(c.pictures) / median * 1e3;
  if (c.step) {
    line["arena_bytes"] = c.step->summary().arena;
    engine::Trace trace;
    for (int i = 0; i < (table ? 5 : 1); ++i) c.step->run(&trace);
    if (table) text::print(stderr, "{}", trace.table());
    if (!trace_file.empty()) weights::write_file_atomically(trace_file, trace.chrome_json());
  }
  text::print(stdout, "{}\n", line.dump());
  return 0;
}

}  // namespace
}  // namespace verace

int main(int argc, char** argv) {
  try {
    return verace::run(argc, argv);
  } catch (const std::exception& error) {
    verace::text::print(stderr, "verace_bench_model: {}\n", error.what());
    return 1;
  }
}
