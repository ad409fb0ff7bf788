// What a run on a GPU does when memory, a call or the device fails: what it says, what stays, and
// that it goes on from there in the same bits. By the emulated device's fault injector.
#include <algorithm>
#include <cstdio>

#include "apps/lib/trainer_memory.h"
#include "apps/lib/trainer_setup.h"
#include "engine/memory.h"
#include "kernels/dispatch.h"
#include "kernels/format.h"
#include "tests/apps/device_training.h"
#include "tests/support/faults.h"

namespace verace::apps::device_failures_test {
namespace {

TEST_CASE("failures of a device") {
  test::note_skipped_devices();
  if (!kernels::have_cuda || kernels::cuda_is_emulated) return;
  std::printf("SKIPPED apps/device_failures_test: only an emulated device fails on purpose\n");
}

#if VERACE_EMULATED
namespace emulator = simt::emulator;

bool nothing_left() {
  const emulator::LiveObjects left = emulator::live_objects();
  return left.allocations == 0 && left.streams == 0 && left.events == 0 && left.graphs == 0;
}

// What the action throws; the device is well again.
struct Failure {
  ErrorKind kind = ErrorKind::kInput;
  std::string message;
};
Failure failure_of(const std::function<void()>& action) {
  Failure failure;
  try {
    action();
  } catch (const Error& error) {
    failure = {error.kind(), error.what()};
  }
  emulator::fail_call("", 0, cudaSuccess);
  cudaGetLastError();
  CHECK_MESSAGE(failure.message.find('\n') == std::string::npos, failure.message);
  return failure;
}

// A run after its first epoch, and what it is after the second if nothing fails; made once.
struct Runs {
  Runs() {
    TrainOptions o = tiny_cuda_run(folder / "half");
    o.max_steps = 6;
    trained(o);
    std::filesystem::copy(folder / "half", folder / "whole");
    trained(resumed(folder / "whole"));
  }
  std::string copy(const std::string& name) const {
    std::filesystem::copy(folder / "half", folder / name);
    return folder / name;
  }
  static const Runs& get() {
    static const Runs runs;
    return runs;
  }
  TempFolder folder;
};

// Does what a resumed run does before its first step.
void planned(const std::string& run) {
  std::ostringstream out;
  TrainingSetup setup = prepare_training(resumed(run), out);
  plan_memory(setup, 0, out);
}

TEST_CASE("a batch that a GPU has not the memory for is refused with the one that fits") {
  const TempFolder folder;
  const emulator::KeptOptions kept;
  TrainOptions o = tiny_cuda_run(folder / "run");
  o.batch = 20;
  int64_t needed = 0, network = 0;
  {
    std::ostringstream out;
    TrainingSetup setup = prepare_training(o, out);
    const MemoryPlan plan = plan_memory(setup, 0, out);
    needed = plan.device();
    network = plan.network() - plan.arena;
    CHECK(contains(out.str(), " MB on the GPU; pictures "));
    // Of the device, what was planned is what is taken.
    const auto use = engine::memory_use(engine::MemoryKind::kDevice).current;
    CHECK(std::abs(use - needed) < 100'000);
  }
  CHECK(nothing_left());
  const auto limited = [&](int64_t bytes, int64_t batch) {
    emulator::options().memory_limit = static_cast<size_t>(bytes);
    o.batch = batch;
    o.max_steps = 2;
    return failure_of([&] { trained(o); });
  };
  const Failure refused = limited(needed - 100'000, 20);
  CHECK(refused.kind == ErrorKind::kInput);
  CHECK_MESSAGE(contains(refused.message, "--batch 20: needs "), refused.message);
  CHECK(contains(refused.message, "on the GPU"));
  CHECK(contains(refused.message, "100000 bytes (0.1 MB) are missing: use --batch "));
  CHECK_FALSE(std::filesystem::exists(o.out));
  const size_t at = refused.message.find("use --batch ");
  REQUIRE(at != std::string::npos);
  const int64_t fitting = std::stoll(refused.message.substr(at + 12));
  CHECK(fitting > 10);
  CHECK(fitting < 20);
  CHECK(limited(needed - 100'000, fitting).message == "");
  std::filesystem::remove_all(o.out);
  CHECK(contains(limited(network + 50'000, 20).message, "not even --batch 1 fits"));
  const std::string none = limited(300'000, 20).message;
  CHECK_MESSAGE(contains(none, "the network alone"), none);
  CHECK(contains(none, " bytes or more"));
  CHECK(contains(none, "freeze more"));
  CHECK_FALSE(std::filesystem::exists(o.out));
  CHECK(nothing_left());
}

TEST_CASE("a GPU that is full in the midst of a run: bytes, batch, and where it goes on") {
  const Runs& runs = Runs::get();
  const std::string run = runs.copy("full");
  const uint64_t before = emulator::calls_of("cudaMalloc");
  planned(run);
  const uint64_t planning = emulator::calls_of("cudaMalloc") - before;
  CHECK(planning > 300);
  emulator::fail_call("cudaMalloc", planning + 1, cudaErrorMemoryAllocation);
  const Failure full = failure_of([&] { trained(resumed(run)); });
  CHECK(full.kind == ErrorKind::kInput);
  CHECK_MESSAGE(contains(full.message, "epoch 2, after step "), full.message);
  CHECK(contains(full.message, "not enough memory on the GPU: "));
  CHECK(contains(full.message, " bytes ("));
  CHECK(contains(full.message, "--batch 5 would fit now"));
  CHECK(contains(full.message, "last.safetensors holds the state of epoch 2, after step 1: go on"));
  CHECK(nothing_left());
  trained(resumed(run));
  CHECK(first_difference(run + "/" + kLast, runs.folder / "whole/last.safetensors") == "");
}

TEST_CASE("a device that is lost while it trains: call, operation, checkpoint") {
  const Runs& runs = Runs::get();
  struct Case {
    engine::Launch launch;
    const char* call;
    uint64_t n;  // after planning
    const char* said;
  };
  constexpr const char* kLayer = "epoch 2, after step 1: layer";
  // Two steps are run before the first ones are traced, and so waited for operation by operation.
  const Case cases[] = {
      {engine::Launch::kChecked, "simt::launch", 200, kLayer},
      {engine::Launch::kEager, "simt::library_call", 150, kLayer},
      {engine::Launch::kEager, "cudaMemsetAsync", 1, "check: "},
      {engine::Launch::kGraph, "simt::launch", 100, kLayer},
      {engine::Launch::kGraph, "cudaStreamBeginCapture", 1, "graph_cuda.cc:"},
      {engine::Launch::kGraph, "cudaGraphLaunch", 1, "operations as one graph (--launch checked"},
      // (The end of the session that counts the calls has waited once as well.)
      {engine::Launch::kGraph, "cudaStreamSynchronize", 1, "writing flip before a step (--launch"},
      {engine::Launch::kGraph, "cudaStreamSynchronize", 3, "reading loss after a step (--launch "},
  };
  const auto calls_of_planning = [&](const std::string& call) {
    const uint64_t before = emulator::calls_of(call);
    planned(runs.folder / "half");
    return emulator::calls_of(call) - before;
  };
  int i = 0;
  for (const Case& c : cases) {
    const std::string run = runs.copy(text::format("lost{}", i++));
    INFO(std::string(c.call), ", launch ", engine::to_string(c.launch));
    const std::string stored = read_text(run + "/" + kLast);
    TrainOptions o = resumed(run);
    o.launch = c.launch;
    emulator::lose_device(c.call, calls_of_planning(c.call) + c.n, cudaErrorECCUncorrectable);
    const Failure lost = failure_of([&] { trained(o); });
    INFO(lost.message);
    CHECK(lost.kind == ErrorKind::kDevice);
    CHECK(contains(lost.message, c.call));
    CHECK(contains(lost.message, c.said));
    CHECK(contains(lost.message, "epoch 2, "));
    CHECK(contains(lost.message, "uncorrectable ECC error"));
    CHECK(contains(lost.message, "the device is lost"));
    CHECK(contains(lost.message, "holds the state of epoch 2, after step 1: go on with --resume"));
    CHECK(nothing_left());
    CHECK((read_text(run + "/" + kLast) == stored));
    if (i > 1) continue;
    trained(resumed(run));
    CHECK(first_difference(run + "/" + kLast, runs.folder / "whole/last.safetensors") == "");
  }
}

// A resumed run's session, and a batch for it.
struct Session {
  explicit Session(const std::string& run) {
    std::ostringstream out;
    setup = prepare_training(resumed(run), out);
    plan_memory(setup, 0, out);
    setup.train->start_epoch(0);
    REQUIRE(setup.train->next(batch));
  }
  TrainingOutcome step() { return setup.session->run(batch, "epoch 3, step 7"); }
  // Of parameters and moments, not of the statistics, which a failed step moves.
  std::vector<std::vector<float>> values() const {
    std::vector<std::vector<float>> all;
    for (const auto& entry : setup.adam->moments()) {
      for (const engine::Tensor* tensor : std::initializer_list<const engine::Tensor*>{
               &entry.parameter->value, &entry.m, &entry.v}) {
        all.push_back(engine::read(*tensor));
      }
    }
    return all;
  }
  TrainingSetup setup;
  data::Batch batch;
};

// Calls that take or give memory, or make something.
uint64_t allocations() {
  uint64_t calls = 0;
  for (const char* call :
       {"cudaMalloc", "cudaMallocAsync", "cudaMallocHost", "cudaHostAlloc", "cudaMallocManaged",
        "cudaFree", "cudaFreeHost", "cudaStreamBeginCapture", "cudaGraphInstantiate",
        "cudaStreamCreateWithFlags", "cudaEventCreateWithFlags"}) {
    calls += emulator::calls_of(call);
  }
  return calls;
}

TEST_CASE("nothing is allocated, captured or made inside of a step") {
  {
    Session s(Runs::get().folder / "half");
    for (int i = 0; i < 3; ++i) s.step();  // plain, captured, replayed
    const uint64_t before = allocations(), launches = emulator::calls_of("cudaGraphLaunch");
    for (int i = 0; i < 3; ++i) s.step();
    CHECK(allocations() == before);
    CHECK(emulator::calls_of("cudaGraphLaunch") == launches + 3);
    const engine::Buffer buffer(64, engine::MemoryKind::kDevice);
    test::expect_caught("memory taken between steps", allocations() == before);
  }
  CHECK(nothing_left());
}

TEST_CASE("parameters are read after the steps that were enqueued before") {
  const emulator::KeptOptions kept;
  emulator::options().lazy = true;
  Session asked(Runs::get().folder / "half"), waited(Runs::get().folder / "half");
  for (Session* s : {&asked, &waited}) s->step();
  const auto before = asked.values();
  for (Session* s : {&asked, &waited}) s->setup.session->plan(5).run();
  waited.setup.device.synchronize();
  const auto got = asked.values(), want = waited.values();
  CHECK_FALSE(test::compare_bits(got[0], before[0]));
  for (size_t i = 0; i < want.size(); ++i) CHECK(test::compare_bits(got[i], want[i]));
}

TEST_CASE("a loss that is not finite names its cause, and the graph goes on once it is mended") {
  Session s(Runs::get().folder / "half"), undisturbed(Runs::get().folder / "half");
  for (int i = 0; i < 3; ++i) s.step();
  const engine::Tensor& bias =
      s.setup.model.classifier->table().find("layer2.1.bn2")->parameter("bias").value;
  const std::vector<float> good = engine::read(bias);
  std::vector<float> bad = good;
  bad[3] = std::numeric_limits<float>::quiet_NaN();
  const auto before = s.values();
  const int64_t steps = s.setup.adam->step();
  engine::write(bias, bad);
  for (int i = 0; i < 2; ++i) {
    const std::string message = input_error([&] { s.step(); });
    CHECK_MESSAGE(contains(message, "epoch 3, step 7: the loss of 5 of 5 pictures"), message);
    CHECK(contains(message, "1 of 8 values of parameter layer2.1.bn2.bias are not finite"));
  }
  engine::write(bias, good);
  CHECK(s.setup.adam->step() == steps);
  const auto after = s.values();
  REQUIRE(after.size() == before.size());
  for (size_t i = 0; i < after.size(); ++i) CHECK(test::compare_bits(after[i], before[i]));
  // Batches are normalised by their own statistics: the next steps are as if nothing had been.
  for (int i = 0; i < 5; ++i) undisturbed.step();
  for (int i = 0; i < 2; ++i) s.step();
  CHECK(s.setup.adam->step() == steps + 2);
  const auto got = s.values(), want = undisturbed.values();
  for (size_t i = 0; i < want.size(); ++i) CHECK(test::compare_bits(got[i], want[i]));
}

#endif

}  // namespace
}  // namespace verace::apps::device_failures_test
