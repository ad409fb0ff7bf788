// Times whole steps of the network: one case per run.
//
//   verace_bench_model --case train16_keras15 --seconds 10 [--threads N] [--trace FILE] [--table]
//   verace_bench_model --device cuda --precision tf32 --case train64_none --report FILE --row FILE
//   verace_bench_model --case infer1 --serve ...    times when it is told to: a line "run SECONDS"
//                                               on standard input gives a line of times, "end" ends
//                                               it
// bench/peers/run serves it and other engines in turn, all with one --model and --pixels;
// scripts/gpu_phases.sh starts it once for each row of its table.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>

#include "apps/lib/short_spin.h"
#include "bench/model/cases.h"
#include "bench/model/plan_times.h"
#include "bench/model/report.h"
#include "bench/model/roofline.h"
#include "bench/model/timing.h"
#include "engine/transfer.h"
#include "kernels/check.h"
#include "kernels/dispatch.h"
#include "kernels/format.h"
#include "weights/atomic_file.h"

namespace verace::bench {
namespace {

using nlohmann::json;

constexpr int kTableRuns = 5;
constexpr size_t kLosers = 25;  // operations that the table names

struct Options {
  WorldOptions world;
  std::string name, device = "cpu", precision = "fp32", plans = "heuristic";
  std::string trace_file, dump_file, report_file, row_file, rates_file, operations_file;
  double seconds = 10;
  bool table = false, serve = false, precisions = false, time_plans = false, all_cached = false;
};

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

int serve(const Case& c, const World& world, const Options& o) {
  const auto step = [&] { c.run(); };
  print_line({{"ready", true},
              {"engine", engine_name(world)},
              {"gflop", static_cast<double>(c.flops) / 1e9},
              {"pictures", c.pictures},
              {"check", first_results(c, o)}});
  for (std::string word; std::cin >> word && word == "run";) {
    double seconds = 0;
    std::cin >> seconds;
    step();  // the caches are another engine's
    print_line({{"ms", measure(world.exec, step, seconds, 1)}});
  }
  print_line({{"peak_rss_bytes", peak_rss()},
              {"peak_device_bytes", engine::memory_use(engine::MemoryKind::kDevice).peak}});
  return 0;
}

void check_results(const Case& c) {
  for (const float value : c.result()) {
    if (!std::isfinite(value))
      throw Error(ErrorKind::kInternal, "the step computes what is not finite");
  }
}

// The device's part: eager times, latency, rates, times of operations.
void measure_device([[maybe_unused]] Report& report, [[maybe_unused]] const Case& c,
                    [[maybe_unused]] World& world, [[maybe_unused]] const Options& o) {
  if constexpr (kernels::have_cuda) {
    report.captured = c.step && c.step->captured();
    report.eager = summary(measure(
        world.exec, [&] { c.run_eagerly(); }, o.seconds / 2, 3));
    report.latency = summary(measure_latency(
        world.exec, [&] { c.run(); }, o.seconds / 4, 3));
    const engine::Device::Memory memory = world.device.memory();
    report.device_bytes_in_use = memory.total - memory.free;
    if (!c.step) return;
    report.rates = rates_of(world, o.rates_file);
    report.operations = time_operations(c, world, *report.rates, kTableRuns);
  }
}

void append_row(const std::string& name, const char* head, const std::string& row) {
  std::ofstream file(name, std::ios::app);
  if (file.tellp() == 0) file << head;
  file << row;
  if (!file.flush()) fail_input("--row " + name + ": cannot be written");
}

void write_reports(const Report& report, const Case& c, const World& world, const Options& o) {
  if (!o.operations_file.empty()) {
    weights::write_file_atomically(o.operations_file, operations_table(report.operations, kLosers));
  }
  if (!o.row_file.empty()) append_row(o.row_file, kTableHead, table_row(report, c, world));
  if (o.report_file.empty()) return print_line(to_json(report, c, world, false));
  weights::write_file_atomically(o.report_file, to_json(report, c, world, true).dump(1) + "\n");
  text::print(stdout, "{}\n", one_line(report, c));
}

int time_once(const Case& c, World& world, const Options& o, double plan_s) {
  Report report;
  report.name = o.name;
  report.plan_s = plan_s;
  report.first_ms = measure_latency(
      world.exec, [&] { c.run(); }, 0, 1)[0];
  for (int i = 0; i < 2; ++i) c.run();
  report.step = summary(measure(
      world.exec, [&] { c.run(); }, o.seconds, 3));
  report.buffer_bytes = engine::memory_use(engine::memory_of(world.exec)).peak;
  if (world.exec.device == kernels::DeviceKind::kCuda) measure_device(report, c, world, o);
  check_results(c);
  if (c.step && (o.table || !o.trace_file.empty())) {
    engine::Trace trace;
    for (int i = 0; i < (o.table ? kTableRuns : 1); ++i) c.step->run(&trace);
    if (o.table) text::print(stderr, "{}", trace.table());
    if (!o.trace_file.empty()) weights::write_file_atomically(o.trace_file, trace.chrome_json());
  }
  write_reports(report, c, world, o);
  return 0;
}

int write_plans([[maybe_unused]] World& world, [[maybe_unused]] const CaseName& name,
                [[maybe_unused]] const Options& o) {
  if constexpr (kernels::have_cuda) {
    if (world.exec.device != kernels::DeviceKind::kCuda) {
      fail_input("--time-plans: only CUDA has plans to be timed: use --device cuda");
    }
    const PlanTable table = time_plans(world, name, o.plans == "tuned");
    if (!o.row_file.empty()) {
      append_row(o.row_file, kPlansHead, plans_row(table, o.name, o.precision));
    }
    if (!o.operations_file.empty()) weights::write_file_atomically(o.operations_file, text(table));
    if (!o.report_file.empty()) {
      json j = to_json(table);
      j.update({{"case", o.name}, {"precision", o.precision}, {"device", world.device.name()}});
      weights::write_file_atomically(o.report_file, j.dump(1) + "\n");
    }
    if (const int64_t made = made_anew(table); o.all_cached && made > 0) {
      fail_input(text::format("--all-cached: {} plans were not in {}", made,
                              o.world.convolutions.cache_folder));
    }
    text::print(stdout, "{}\n", one_line(table));
    return 0;
  }
  fail_input("--time-plans: this build has no CUDA");
}

void add_options(CLI::App& app, Options& o) {
  WorldOptions& w = o.world;
  app.add_option("--case", o.name, "what to time: infer16, train64_stages3, fgsm256 ...");
  app.add_option("--device", o.device, "cpu, reference, cuda or cuda:N");
  app.add_option("--precision", o.precision, "fp32; on CUDA also tf32, fp16 and bf16");
  app.add_option("--seconds", o.seconds, "how long, after the first steps");
  app.add_option("--threads", w.threads, "threads; 0: all processors");
  app.add_option("--model", w.model_file, "weights (safetensors); else random, v1.5, head 3000");
  app.add_option("--stem", w.stem_channels, "without --model: channels of the stem (64)");
  app.add_option("--size", w.input_size, "without --model: height and width of pictures (224)");
  app.add_option("--pixels", w.pixel_file, "16 pictures, raw u8 [16, s, s, 3]; else a pattern");
  app.add_option("--plans", o.plans, "of convolutions on CUDA")
      ->check(CLI::IsMember({"heuristic", "tuned"}));
  app.add_option("--plan-cache", w.convolutions.cache_folder,
                 "folder of the file of plans; else none");
  app.add_option("--report", o.report_file, "write all figures here, as JSON");
  app.add_option("--row", o.row_file, "append a row of a Markdown table here");
  app.add_option("--rates", o.rates_file, "CUDA: keeps the device's rates for the next process");
  app.add_option("--operations", o.operations_file,
                 "CUDA: write a table of operations, or plans, here");
  app.add_option("--trace", o.trace_file, "write a Chrome trace of one step here");
  app.add_flag("--precisions", o.precisions, "only print which the device has, fastest first");
  app.add_flag("--table", o.table, "print the times per operation of five steps to stderr");
  app.add_flag(
      "--time-plans", o.time_plans,
      "CUDA: only make all plans, by the heuristics, with --plans tuned both ways; time them");
  app.add_option("--all-cached", o.all_cached,
                 "with --time-plans: fail unless --plan-cache had all");
  app.add_flag("--serve", o.serve, "time when told to on standard input");
  app.add_option("--dump", o.dump_file, "with --serve, fgsm: write the attacked pictures here");
}

int run(int argc, char** argv) {
  CLI::App app("Times one case of the network; prints JSON lines.");
  Options o;
  add_options(app, o);
  CLI11_PARSE(app, argc, argv);
  const auto device = engine::parse_device(o.device, "--device");
  o.world.device = device ? *device : engine::automatic_device().choice;
  o.world.precision = engine::parse_precision(o.precision, "--precision");
  if (o.plans == "tuned") o.world.convolutions.mode = kernels::ConvPlanning::Mode::kTuned;
  if (o.precisions) {
    std::string names;
    for (const engine::Precision precision : precisions(o.world.device)) {
      names += std::string(names.empty() ? "" : " ").append(engine::to_string(precision));
    }
    text::print(stdout, "{}\n", names);
    return 0;
  }
  const CaseName name = parse_case(o.name);
  World world(o.world);
  if (o.time_plans) return write_plans(world, name, o);
  const auto start = std::chrono::steady_clock::now();
  const Case c = make_case(world, name);
  engine::wait(world.exec);
  const std::chrono::duration<double> planning = std::chrono::steady_clock::now() - start;
  return o.serve ? serve(c, world, o) : time_once(c, world, o, planning.count());
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
