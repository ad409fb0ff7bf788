// Whole training runs on a CUDA device: the numbers of the CPU, and always the same bits.
#include <map>

#include "apps/lib/checkpoint.h"
#include "apps/lib/trainer_setup.h"
#include "kernels/format.h"
#include "tests/apps/device_training.h"
#include "tests/support/faults.h"
#include "tests/support/sanitized.h"
#include "tests/support/tolerances.h"

namespace verace::apps::device_training_test {
namespace {

using engine::Launch;
using test::Comparison;
using test::OpClass;

constexpr int64_t kDepth = 53;  // convolutions in sequence, more or less: what errors pass through

double largest(std::span<const float> values) {
  double result = 0;
  for (const float v : values) result = std::max(result, static_cast<double>(std::abs(v)));
  return result;
}

// The checkpoint of one step against that of the same step on another device. Moments are
// gradients, scaled; where a gradient is nearly zero its sign alone decides the first step of Adam.
Comparison same_first_step(const std::string& got_path, const std::string& want_path,
                           double learning_rate) {
  const weights::WeightFile got(got_path), want(want_path);
  int64_t values = 0, off = 0;
  for (const weights::TensorView& tensor : want.tensors()) {
    const std::vector<float> a = got.read_f32(tensor.name), b = want.read_f32(tensor.name);
    const bool moment = tensor.name.starts_with("optimizer.");
    if (moment || tensor.name.find("running_") != std::string::npos) {
      const OpClass op = moment ? OpClass::kNetworkGradient : OpClass::kNetwork;
      Comparison c = test::compare(a, b, test::tolerance(op, kDepth, largest(b)), 0.97);
      c.message = tensor.name + ": " + c.message;
      if (!c.ok) return c;
      continue;
    }
    for (size_t i = 0; i < b.size(); ++i) {
      const double error = std::abs(static_cast<double>(a[i]) - b[i]);
      if (!(error <= 2.001 * learning_rate)) return {false, tensor.name + ": not one step away"};
      off += error > 0.5 * learning_rate;
      ++values;
    }
  }
  const bool ok = values > 80000 && static_cast<double>(off) <= 0.005 * static_cast<double>(values);
  return {ok, text::format("{} of {} weights went the other way", off, values)};
}

// A run of four steps for comparisons between devices. In batches of 5 the last stage's batch norms
// have five values for a channel, whose rounding errors turn ReLUs in all layers before them: there
// the CPU is as far from the reference.
TrainOptions steady_run(const std::string& out, const engine::DeviceChoice& device = {}) {
  TrainOptions o = tiny_run(out);
  o.device = device;
  o.batch = 11;
  o.learning_rate = 1e-4;
  return o;
}

TEST_CASE("one step of a run is the CPU's") {
  test::note_skipped_devices();
  if (!test::cuda_is_present()) return;
  const TempFolder folder;
  TrainOptions cpu = steady_run(folder / "cpu"), gpu = steady_run(folder / "gpu", kGpu);
  cpu.max_steps = gpu.max_steps = 1;
  trained(cpu);
  trained(gpu);
  const auto verdict = [&] {
    return same_first_step(folder / "gpu/last.safetensors", folder / "cpu/last.safetensors",
                           cpu.learning_rate);
  };
  test::expect_ok("first step", verdict());
  gpu.flip = false;
  gpu.out = folder / "not flipped";
  trained(gpu);
  test::expect_caught("pictures not mirrored",
                      same_first_step(folder / "not flipped/last.safetensors",
                                      folder / "cpu/last.safetensors", cpu.learning_rate));
}

// A run's losses have gone through gradients and updates.
void check_history(const std::vector<EpochMetrics>& got, const std::vector<EpochMetrics>& want) {
  REQUIRE(got.size() == want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    INFO("epoch ", i + 1);
    REQUIRE(got[i].test.has_value());
    const std::vector<float> a = {static_cast<float>(got[i].train_loss),
                                  static_cast<float>(got[i].test->loss)};
    const std::vector<float> b = {static_cast<float>(want[i].train_loss),
                                  static_cast<float>(want[i].test->loss)};
    test::expect_ok(
        "losses",
        test::compare(a, b, test::tolerance(OpClass::kNetworkGradient, kDepth, largest(b))));
  }
}

TEST_CASE("epochs are the CPU's, also where a run moves from one to the other and back") {
  if (!test::cuda_is_present()) return;
  const TempFolder folder;
  std::ostringstream out;
  const std::vector<EpochMetrics> want = train(steady_run(folder / "cpu"), out).history;
  check_history(train(steady_run(folder / "gpu", kGpu), out).history, want);
  TrainOptions part = steady_run(folder / "moved");
  part.max_steps = 1;
  trained(part);
  TrainOptions resume = resumed(folder / "moved", kGpu);
  resume.max_steps = 2;
  CHECK(contains(trained(resume), "resume: cuda:0 instead of cpu: the numbers will differ"));
  CHECK(contains(read_checkpoint(folder / "moved/last.safetensors").recipe.machine, "; CUDA "));
  std::ostringstream report;
  const TrainResult moved = train(resumed(folder / "moved", engine::DeviceChoice{}), report);
  CHECK(contains(report.str(), "resume: cpu instead of cuda:0"));
  CHECK(moved.finished);
  check_history(moved.history, want);
}

TEST_CASE("the same run has the same bits, however it is launched, loaded, stopped and resumed") {
  if (!test::cuda_is_present()) return;
  const TempFolder folder;
  const std::string report = trained(tiny_cuda_run(folder / "graph"));
  CHECK(contains(report, "device: cuda:0 ("));
  CHECK(contains(report, "fp32, steps as CUDA graphs, "));
  CHECK(contains(report, "plans: "));
  CHECK(contains(report, " by the heuristics' first engine, 0 by the fastest of those timed"));
  const auto same = [&](const std::string& run) {
    for (const char* file : {"last.safetensors", "best.safetensors"}) {
      CHECK(first_difference(folder / ("graph/" + std::string(file)),
                             folder / (run + "/" + file)) == "");
    }
  };
  {  // Eager, with three loader threads, streams that work at once.
#if VERACE_EMULATED
    const simt::emulator::KeptOptions kept;
    simt::emulator::options().lazy = !simt::emulator::options().lazy;
#endif
    TrainOptions o = tiny_cuda_run(folder / "eager", Launch::kEager);
    o.workers = 3;
    CHECK(contains(trained(o), "fp32, operation by operation, "));
    same("eager");
  }
  {  // Stopped inside of both epochs, and resumed.
    TrainOptions part = tiny_cuda_run(folder / "part");
    part.max_steps = 3;
    part.cache_mb = 100;
    CHECK(contains(trained(part), "go on with --resume"));
    TrainResult result;
    for (int i = 0; i < 5 && !result.finished; ++i) {
      TrainOptions resume = resumed(folder / "part");
      resume.max_steps = 4;
      std::ostringstream out;
      result = train(resume, out);
      CHECK(contains(out.str(), "device: cuda:0 ("));
    }
    CHECK(result.finished);
    CHECK(result.global_step == 10);
    same("part");
  }
}

TEST_CASE("a checkpoint passes through the memory of a GPU unchanged") {
  if (!test::cuda_is_present()) return;
  const TempFolder folder;
  TrainOptions part = tiny_run(folder / "run");
  part.max_steps = 3;
  trained(part);
  const std::string last = folder / "run/last.safetensors";
  std::ostringstream ignored;
  const TrainingSetup setup = prepare_training(resumed(folder / "run", kGpu), ignored);
  CHECK(setup.model.classifier->table().memory() == engine::MemoryKind::kDevice);
  CHECK(setup.adam->step() == 3);
  const auto saved = [&](const std::string& name) {
    save_checkpoint(folder / name, *setup.model.classifier, *setup.adam, setup.checkpoint);
    return first_difference(folder / name, last);
  };
  CHECK(saved("copy") == "");
  const engine::Tensor& v = setup.adam->moments().back().v;
  engine::write(v, std::vector<float>(static_cast<size_t>(v.count()), 0.0f));
  test::expect_caught("a moment that is not restored", saved("lost") == "");
}

TEST_CASE("16-bit runs: the same bits launched and resumed, and near those of fp32") {
  if (!test::cuda_is_present()) return;
  if (test::skip_if_sanitized("apps/device_training_test", "16-bit runs")) return;
  const TempFolder folder;
  std::ostringstream out;
  const std::vector<EpochMetrics> want = train(steady_run(folder / "fp32", kGpu), out).history;
  for (const engine::Precision precision : {engine::Precision::kFp16, engine::Precision::kBf16}) {
    const std::string name(engine::to_string(precision));
    INFO("precision ", name);
    TrainOptions whole = steady_run(folder / name, kGpu);
    whole.precision = precision;
    if (precision == engine::Precision::kFp16) whole.epochs = 6;  // the first steps find the scale
    const std::vector<EpochMetrics> got = train(whole, out).history;
    CHECK(contains(out.str(), "), " + name + ", steps as CUDA graphs, "));
    REQUIRE(got.size() >= want.size());
    // Coarse, for a network that computes something else: fp16 also leaves out steps until its loss
    // scale fits. Precision itself is the matter of tests/layers/precision_test.cc.
    INFO("first epoch: ", got[0].train_loss, " and ", want[0].train_loss);
    CHECK(std::abs(got[0].train_loss / want[0].train_loss - 1) <= 0.05);
    CHECK(std::isfinite(got.back().train_loss));
    CHECK(got.back().train_loss != got[0].train_loss);
    // Two steps per epoch: in the last one none is left out any more.
    if (precision == engine::Precision::kFp16) CHECK(got.back().skipped_steps.value() == 0);
    TrainOptions part = whole;
    part.out = folder / (name + " in parts");
    part.launch = Launch::kEager;
    part.max_steps = 1;
    trained(part);
    CHECK(contains(trained(resumed(part.out.string())), name + ", steps as CUDA graphs, "));
    CHECK(first_difference((whole.out / kLast).string(), (part.out / kLast).string()) == "");
  }
}

}  // namespace
}  // namespace verace::apps::device_training_test
