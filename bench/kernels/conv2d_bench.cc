// Times every distinct convolution of ResNet-50 (v1 and v1.5, 224 x 224) against the machine's own
// matrix product.
//
// Names read direction/layer/hHcCkKrRsS/batch. Counters: GFLOP/s (wall), busy_GFLOP/s (by the CPU
// time of the busiest thread: what a machine without other work would show), pct_sgemm (busy rate
// over that of a 2048^3 product in the same run), v1 and v15 (how often a network has the layer).
// With --sums the program prints, after the table, the busy time of a whole network per direction.
#include <benchmark/benchmark.h>
#include <omp.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "kernels/conv2d.h"
#include "kernels/gemm.h"

namespace {

using namespace verace::kernels;

struct Layer {
  std::string name;
  ConvGeometry g;
  bool add = false;  // the block's last convolution takes the shortcut in inference
  bool relu = true;  // the shortcut's own convolution has none
  int v1 = 0, v15 = 0;
};

// Each distinct convolution once, with the number of times it occurs in v1 (stride in the block's
// first 1x1) and v1.5 (stride in its 3x3).
std::vector<Layer> resnet50() {
  std::vector<Layer> layers;
  const auto put = [&](const Layer& l) {
    for (Layer& have : layers) {
      if (have.g == l.g && have.add == l.add && have.relu == l.relu) {
        have.v1 += l.v1;
        have.v15 += l.v15;
        return;
      }
    }
    layers.push_back(l);
  };
  const auto conv = [](int64_t size, int64_t c, int64_t k, int64_t r, int64_t stride) {
    return ConvGeometry{{1, size, size, c}, k, r, r, stride, stride, r / 2, r / 2};
  };
  put({"stem", conv(224, 3, 64, 7, 2), false, true, 1, 1});
  constexpr int kBlocks[] = {3, 4, 6, 3};
  int64_t c = 64, size = 56, width = 64;
  for (int stage = 0; stage < 4; ++stage, width *= 2) {
    for (int block = 0; block < kBlocks[stage]; ++block) {
      const int64_t stride = stage > 0 && block == 0 ? 2 : 1, out = size / stride;
      put({"a", conv(size, c, width, 1, stride), false, true, 1, 0});
      put({"b", conv(out, width, width, 3, 1), false, true, 1, 0});
      put({"a", conv(size, c, width, 1, 1), false, true, 0, 1});
      put({"b", conv(size, width, width, 3, stride), false, true, 0, 1});
      if (block == 0) put({"d", conv(size, c, 4 * width, 1, stride), false, false, 1, 1});
      put({"c", conv(out, width, 4 * width, 1, 1), true, true, 1, 1});
      c = 4 * width;
      size = out;
    }
  }
  return layers;
}

std::string layer_name(const Layer& l) {
  const auto n = [](int64_t v) { return std::to_string(v); };
  return l.name + "/h" + n(l.g.x.h) + "c" + n(l.g.x.c) + "k" + n(l.g.k) + "r" + n(l.g.r) + "s" +
         n(l.g.stride_h);
}

struct Buffer {
  explicit Buffer(int64_t count) : values(static_cast<size_t>(count) + 16) {
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * 7919 % 13) - 6;
  }
  float* data() {  // on a cache line, as the engine's arena gives them
    const auto address = reinterpret_cast<uintptr_t>(values.data());
    return values.data() + ((64 - address % 64) % 64) / sizeof(float);
  }
  std::byte* bytes() { return reinterpret_cast<std::byte*>(data()); }
  std::vector<float> values;
};

std::vector<double> thread_seconds(int threads) {
  std::vector<double> seconds(static_cast<size_t>(threads));
#pragma omp parallel num_threads(threads)
  {
    timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    seconds[static_cast<size_t>(omp_get_thread_num())] =
        static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  }
  return seconds;
}

// CPU seconds of the busiest thread, the least over all calls. OpenMP's threads must not spin
// while they wait (OMP_WAIT_POLICY=passive), or waiting counts as work.
template <typename Work>
double busy_seconds(int threads, Work&& work) {
  const auto before = thread_seconds(threads);
  work();
  const auto after = thread_seconds(threads);
  double busiest = 0.0;
  for (size_t i = 0; i < after.size(); ++i) busiest = std::max(busiest, after[i] - before[i]);
  return busiest;
}

double sgemm_rate(const Exec& exec) {
  constexpr int64_t kSize = 2048;
  Buffer a(kSize * kSize), b(kSize * kSize), c(kSize * kSize);
  const auto plan = plan_gemm(exec, {.m = kSize, .n = kSize, .k = kSize});
  const GemmArgs args{.a = a.data(), .b = b.data(), .c = c.data()};
  double best = 1e30;
  for (int i = 0; i < 6; ++i) {
    best = std::min(best, busy_seconds(exec.threads, [&] { plan->run(args); }));
  }
  return 2.0 * kSize * kSize * kSize / best;
}

// Busy seconds of one layer and its occurrences. The library calls a benchmark several times to
// find its number of iterations: the least time counts.
struct LayerTime {
  double seconds = 1e30;
  int v1 = 0, v15 = 0;
};
std::map<std::string, std::map<std::string, LayerTime>> times;  // direction and batch -> layer

template <typename Work>
void measure(benchmark::State& state, const Exec& exec, const Layer& layer, const ConvGeometry& g,
             const std::string& direction, const char* implementation, Work&& work) {
  static const double sgemm = sgemm_rate(exec);
  work();
  double best = 1e30;
  for (auto _ : state) best = std::min(best, busy_seconds(exec.threads, work));
  const double flops = static_cast<double>(g.flops());
  state.counters["GFLOP/s"] = benchmark::Counter(
      1e-9 * flops * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
  state.counters["busy_ms"] = 1e3 * best;
  state.counters["busy_GFLOP/s"] = 1e-9 * flops / best;
  state.counters["pct_sgemm"] = 100.0 * flops / best / sgemm;
  state.counters["v1"] = layer.v1;
  state.counters["v15"] = layer.v15;
  state.SetLabel(implementation);
  LayerTime& time = times[direction + "/b" + std::to_string(g.x.n)][layer_name(layer)];
  time = {std::min(time.seconds, best), layer.v1, layer.v15};
}

void forward(benchmark::State& state, const Exec& exec, const Layer& layer, int64_t batch) {
  ConvGeometry g = layer.g;
  g.x.n = batch;
  const auto plan = plan_conv_forward(exec, g, {true, layer.add, layer.relu});
  Buffer x(g.x.count()), w(g.filter_count()), packed(plan->packed_count()), bias(g.k),
      y(g.y().count()), scratch(plan->scratch_bytes() / 4);
  plan->pack(w.data(), packed.data());
  const ConvForwardArgs args{x.data(), packed.data(),  bias.data(), layer.add ? y.data() : nullptr,
                             y.data(), scratch.bytes()};
  measure(state, exec, layer, g, "forward", plan->implementation(), [&] { plan->run(args); });
}

void pack(benchmark::State& state, const Exec& exec, const Layer& layer, int64_t batch) {
  ConvGeometry g = layer.g;
  g.x.n = batch;
  const auto plan = plan_conv_forward(exec, g);
  const auto back = plan_conv_backward_data(exec, g);
  Buffer w(g.filter_count()), packed(plan->packed_count()), packed_back(back->packed_count());
  measure(state, exec, layer, g, "pack", plan->implementation(), [&] {
    plan->pack(w.data(), packed.data());
    back->pack(w.data(), packed_back.data());
  });
}

void backward_data(benchmark::State& state, const Exec& exec, const Layer& layer, int64_t batch) {
  ConvGeometry g = layer.g;
  g.x.n = batch;
  const auto plan = plan_conv_backward_data(exec, g);
  Buffer dx(g.x.count()), w(g.filter_count()), packed(plan->packed_count()), dy(g.y().count()),
      scratch(plan->scratch_bytes() / 4);
  plan->pack(w.data(), packed.data());
  // Training does not want the images' gradient: the stem stands apart.
  const std::string direction = layer.name == "stem" ? "stem_data" : "backward_data";
  measure(state, exec, layer, g, direction, plan->implementation(), [&] {
    plan->run({dy.data(), packed.data(), dx.data(), scratch.bytes()});
  });
}

void backward_filter(benchmark::State& state, const Exec& exec, const Layer& layer, int64_t batch) {
  ConvGeometry g = layer.g;
  g.x.n = batch;
  const auto plan = plan_conv_backward_filter(exec, g);
  Buffer x(g.x.count()), dw(g.filter_count()), dy(g.y().count()),
      scratch(plan->scratch_bytes() / 4);
  measure(state, exec, layer, g, "backward_filter", plan->implementation(), [&] {
    plan->run({x.data(), dy.data(), dw.data(), GradMode::kOverwrite, scratch.bytes()});
  });
}

void register_all(const Exec& exec) {
  using Function = void (*)(benchmark::State&, const Exec&, const Layer&, int64_t);
  const std::vector<std::pair<std::string, Function>> directions = {
      {"forward", forward},
      {"backward_data", backward_data},
      {"backward_filter", backward_filter},
      {"pack", pack}};
  for (const auto& [direction, function] : directions) {
    for (const int64_t batch : {1, 16}) {
      if (direction == "pack" && batch == 1) continue;
      for (const Layer& l : resnet50()) {
        const std::string name = direction + "/" + layer_name(l) + "/b" + std::to_string(batch);
        benchmark::RegisterBenchmark(name.c_str(), [exec, l, batch, f = function](auto& state) {
          f(state, exec, l, batch);
        })->Unit(benchmark::kMillisecond);
      }
    }
  }
}

void print_network_sums() {
  for (const auto& [direction, layers] : times) {
    double v1 = 0.0, v15 = 0.0;
    for (const auto& [name, time] : layers) {
      v1 += time.seconds * time.v1;
      v15 += time.seconds * time.v15;
    }
    std::printf("%-22s v1 %8.1f ms   v1.5 %8.1f ms\n", direction.c_str(), 1e3 * v1, 1e3 * v15);
  }
}

}  // namespace

int main(int argc, char** argv) {
  bool print_sums = false;
  const auto end = std::remove_if(argv + 1, argv + argc, [&](const char* arg) {
    const bool ours = std::string(arg) == "--sums";
    print_sums = print_sums || ours;
    return ours;
  });
  argc = static_cast<int>(end - argv);
  const Exec exec = make_exec(DeviceKind::kCpu, omp_get_max_threads());  // OMP_NUM_THREADS
  register_all(exec);
  benchmark::Initialize(&argc, argv);
  benchmark::AddCustomContext("threads", std::to_string(exec.threads));
  char rate[32];
  std::snprintf(rate, sizeof rate, "%.1f GFLOP/s", 1e-9 * sgemm_rate(exec));
  benchmark::AddCustomContext("sgemm_2048", rate);
  benchmark::RunSpecifiedBenchmarks();
  if (print_sums) print_network_sums();
  return 0;
}
