// Times whole steps of the full-size network: one case per run, JSON lines.
//
//   verace_bench_model --case train16_keras15 --seconds 10 [--threads N] [--trace FILE] [--table]
//   verace_bench_model --case infer1 --serve ...    times when it is told to: a line "run SECONDS"
//   on
//                                               standard input gives a line of times, "end" ends it
// bench/peers/run serves it and other engines in turn, all with one --model and --pixels.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/lib/short_spin.h"
#include "bench/model/cases.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "kernels/onednn/version.h"
#include "weights/atomic_file.h"

namespace verace::bench {
namespace {

using nlohmann::json;

struct Options {
  std::string name, model_file, pixel_file, trace_file, dump_file;
  double seconds = 10;
  int threads = 0;
  bool table = false, serve = false;
};

// Milliseconds of each step, in the order of time, until `seconds` are over: at least `least`.
std::vector<double> measure(const Case& c, double seconds, size_t least) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> times;
  const auto begin = Clock::now();
  while (times.size() < least ||
         std::chrono::duration<double>(Clock::now() - begin).count() < seconds) {
    const auto start = Clock::now();
    c.run();
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  }
  return times;
}

int64_t peak_rss() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

// By what the engines are compared before they are timed: inference's logits, the losses of the
// first three steps of training, attacked pictures (into --dump FILE, raw fp32).
json first_results(const Case& c, const Options& o) {
  json check = {{"trained", c.trained}};
  const bool training = o.name.starts_with("train");
  std::vector<float> values;
  for (int i = 0; i < (training ? 3 : 1); ++i) {
    c.run();
    const std::vector<float> result = c.result();
    values.insert(values.end(), result.begin(), result.end());
  }
  if (!o.name.starts_with("fgsm")) {
    check["values"] = values;
  } else if (!o.dump_file.empty()) {
    std::ofstream file(o.dump_file, std::ios::binary);
    file.write(reinterpret_cast<const char*>(values.data()),
               static_cast<std::streamsize>(values.size() * sizeof(float)));
    if (!file.flush()) fail_input("--dump " + o.dump_file + ": cannot be written");
  }
  return check;
}

void print_line(const json& line) {
  text::print(stdout, "{}\n", line.dump());
  std::fflush(stdout);
}

int serve(const Case& c, const Options& o) {
  print_line({{"ready", true},
              {"engine", "Verace, " + kernels::onednn_version()},
              {"gflop", static_cast<double>(c.flops) / 1e9},
              {"pictures", c.pictures},
              {"check", first_results(c, o)}});
  for (std::string word; std::cin >> word && word == "run";) {
    double seconds = 0;
    std::cin >> seconds;
    c.run();  // the caches are another engine's
    print_line({{"ms", measure(c, seconds, 1)}});
  }
  print_line({{"peak_rss_bytes", peak_rss()}});
  return 0;
}

int time_once(const Case& c, const Options& o, int threads) {
  for (int i = 0; i < 2; ++i) c.run();
  std::vector<double> times = measure(c, o.seconds, 3);
  std::ranges::sort(times);
  const auto at = [&](size_t tenths) {
    return times[std::min(times.size() - 1, times.size() * tenths / 10)];
  };
  const double median = at(5);
  json line = {{"case", o.name},
               {"runs", times.size()},
               {"ms", median},
               {"ms_p10", at(1)},
               {"ms_p90", at(9)},
               {"ms_least", times[0]},
               {"gflop", static_cast<double>(c.flops) / 1e9},
               {"gflops", static_cast<double>(c.flops) / median / 1e6},
               {"peak_rss_bytes", peak_rss()},
               {"threads", threads},
               {"engine", "Verace, " + kernels::onednn_version()}};
  if (c.pictures > 0) line["pictures_per_second"] = static_cast<double>(c.pictures) / median * 1e3;
  if (c.step) {
    line["arena_bytes"] = c.step->summary().arena;
    engine::Trace trace;
    for (int i = 0; i < (o.table ? 5 : 1); ++i) c.step->run(&trace);
    if (o.table) text::print(stderr, "{}", trace.table());
    if (!o.trace_file.empty()) weights::write_file_atomically(o.trace_file, trace.chrome_json());
  }
  print_line(line);
  return 0;
}

int run(int argc, char** argv) {
  CLI::App app("Times one case of the full-size network; prints JSON lines.");
  Options o;
  app.add_option("--case", o.name, "what to time")->required()->check(CLI::IsMember(case_names()));
  app.add_option("--seconds", o.seconds, "how long, after two warm-up steps");
  app.add_option("--threads", o.threads, "threads; 0: all processors");
  app.add_option("--model", o.model_file, "weights (safetensors); else random, v1.5, head 3000");
  app.add_option("--pixels", o.pixel_file, "16 pictures, raw u8 [16, s, s, 3]; else a pattern");
  app.add_option("--trace", o.trace_file, "write a Chrome trace of one step here");
  app.add_flag("--table", o.table, "print the times per operation of five steps to stderr");
  app.add_flag("--serve", o.serve, "time when told to on standard input");
  app.add_option("--dump", o.dump_file, "with --serve, fgsm16: write the attacked pictures here");
  CLI11_PARSE(app, argc, argv);
  World world(o.threads, o.model_file, o.pixel_file);
  const Case c = make_case(world, o.name);
  return o.serve ? serve(c, o) : time_once(c, o, world.exec.threads);
}

}  // namespace
}  // namespace verace::bench

int main(int argc, char** argv) {
  verace::apps::spin_briefly(argv);  // as in the program `verace`
  try {
    return verace::bench::run(argc, argv);
  } catch (const std::exception& error) {
    verace::text::print(stderr, "verace_bench_model: {}\n", error.what());
    return 1;
  }
}
