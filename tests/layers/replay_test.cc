// Steps captured as a CUDA graph against the same steps run operation by operation: all bits equal.
#include <doctest/doctest.h>

#include <map>

#include "kernels/check.h"
#include "optim/adam.h"
#include "optim/freeze.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/golden_network.h"
#include "tests/support/sanitized.h"
#include "tests/support/stream.h"

namespace verace::layers::replay_test {
namespace {

using Bits = std::map<std::string, std::vector<float>>;

struct Training {
  std::unique_ptr<Classifier> classifier;
  std::unique_ptr<optim::Adam> adam;
  std::shared_ptr<engine::Arena> arena = std::make_shared<engine::Arena>();
  TrainingStep t;

  Training(const test::Golden& g, const kernels::Exec& exec, const std::string& freeze)
      : classifier(g.make()) {
    optim::freeze(classifier->table(), freeze);
    classifier->table().move_to(engine::memory_of(exec));
    adam = std::make_unique<optim::Adam>(classifier->table(), optim::AdamOptions{});
    TrainingOptions options;
    options.from_unit = true;
    options.append_update = [this](engine::StepBuilder& b, engine::Value loss) {
      adam->append_check(b, {loss});
      adam->append_update(b);
    };
    t = classifier->plan_training(exec, arena, static_cast<int64_t>(g.labels.size()), options);
  }

  std::vector<float> step(const test::Golden& g) {
    t.step.write(t.pictures, std::span<const float>(g.input));
    t.step.write(t.labels, std::span<const int32_t>(g.labels));
    t.step.run();
    return t.step.read_f32(t.loss);
  }

  Bits bits() const {
    Bits all;
    for (const engine::Parameter* p : classifier->table().parameters()) {
      all[p->name] = engine::read(p->value);
    }
    for (const auto& moments : adam->moments()) {
      all[moments.parameter->name + " m"] = engine::read(moments.m);
      all[moments.parameter->name + " v"] = engine::read(moments.v);
    }
    return all;
  }
};

// The name of the first tensor whose bits differ; empty: none.
std::string difference(const Bits& got, const Bits& want) {
  if (got.size() != want.size()) return "number of tensors";
  for (const auto& [name, values] : want) {
    const auto found = got.find(name);
    if (found == got.end() || !test::compare_bits(found->second, values)) return name;
  }
  return {};
}

kernels::Exec on_stream(const test::DeviceStream& stream, bool graphs) {
  kernels::Exec exec{kernels::DeviceKind::kCuda, 1};
  exec.stream = stream.get();
  exec.graphs = graphs;
  return exec;
}

TEST_CASE("training replayed as a graph is training step by step, to the bit") {
  test::note_skipped_devices();
  if (!test::cuda_is_present()) return;
  const test::Golden g = test::open_torch_golden();
  const test::DeviceStream stream;
  std::vector<std::string> freezes = {"keras:15", "none", "stages:3"};
  if (test::skip_if_checked("layers/replay_test", "[other freezing forms]")) freezes.resize(1);
  for (const std::string& freeze : freezes) {
    INFO("freeze ", freeze);
    Training eager(g, on_stream(stream, false), freeze), graph(g, on_stream(stream, true), freeze);
    for (int i = 0; i < 4; ++i) {
      CHECK(graph.t.step.captured() == (i >= 2));
      const std::vector<float> want = eager.step(g);
      CHECK(test::compare_bits(graph.step(g), want));
    }
    CHECK_FALSE(eager.t.step.captured());
    CHECK(difference(graph.bits(), eager.bits()) == "");
    CHECK(graph.adam->step() == 4);
  }
}

TEST_CASE("a graph is captured anew where the arena has moved") {
  if (!test::cuda_is_present()) return;
  const test::Golden g = test::open_torch_golden();
  const test::DeviceStream stream;
  const kernels::Exec exec = on_stream(stream, true);
  Training eager(g, on_stream(stream, false), "none"), graph(g, exec, "none");
  for (int i = 0; i < 5; ++i) {
    CHECK(test::compare_bits(graph.step(g), eager.step(g)));
    if (i != 2) continue;
    const int64_t before = graph.arena->bytes();
    InferenceStep large = graph.classifier->plan_inference(exec, graph.arena, 64, true);
    CHECK(graph.arena->bytes() > before);
    const std::vector<float> pictures(static_cast<size_t>(64 * 64 * 64 * 3), 0.25f);
    large.step.write(large.pictures, std::span<const float>(pictures));
    large.step.run();
  }
  CHECK(difference(graph.bits(), eager.bits()) == "");
}

TEST_CASE("what depends on the host is never captured") {
  if (!test::cuda_is_present()) return;
  const test::Golden g = test::open_torch_golden();
  const test::DeviceStream stream;
  const auto recalibrated = [&](const kernels::Exec& exec) {
    auto classifier = g.make();
    classifier->table().move_to(engine::memory_of(exec));
    RecalibrationStep t = classifier->plan_recalibration(exec, std::make_shared<engine::Arena>(), 3,
                                                         FrozenBatchNorm::kInference);
    for (int i = 0; i < 4; ++i) {
      std::vector<uint8_t> pixels(3 * 64 * 64 * 3);
      for (size_t k = 0; k < pixels.size(); ++k) {
        pixels[k] = static_cast<uint8_t>(static_cast<size_t>(i) * 7 + k * 31 % 251);
      }
      t.step.write(t.pictures, std::span<const uint8_t>(pixels));
      *t.momentum = 1.0 / (i + 1);
      t.step.run();
    }
    CHECK_FALSE(t.step.captured());
    Bits statistics;
    for (const engine::Parameter* p : classifier->table().parameters()) {
      if (p->statistic) statistics[p->name] = engine::read(p->value);
    }
    return statistics;
  };
  CHECK(difference(recalibrated(on_stream(stream, true)), recalibrated(on_stream(stream, false))) ==
        "");
}

TEST_CASE("planted: an operation that hides its dependence on the host is seen") {
  if (!test::cuda_is_present()) return;
  const test::DeviceStream stream;
  const kernels::Exec exec = on_stream(stream, true);
  for (const bool said : {true, false}) {
    const std::vector<float> numbers = {0, 1, 2, 3};
    size_t now = 0;
    engine::StepBuilder b(exec);
    const engine::Value v = b.temporary("number", engine::DType::kF32, {1});
    b.keep(v);
    engine::Operation copy{"copy", "copy", {}, {v}, 0, [&, v](const engine::StepMemory& m) {
                             engine::copy_from_host(exec, m.f32(v), &numbers[now], sizeof(float));
                           }};
    copy.host_dependent = said;
    b.add(copy);
    const engine::Step step = std::move(b).plan(std::make_shared<engine::Arena>());
    std::vector<float> seen;
    for (now = 0; now < numbers.size(); ++now) {
      step.run();
      seen.push_back(step.read_f32(v)[0]);
    }
    CHECK((seen == numbers) == said);
  }
}

TEST_CASE("a capture that fails leaves stream and step usable") {
  if (!test::cuda_is_present()) return;
  const test::DeviceStream stream;
  const kernels::Exec exec = on_stream(stream, true);
  engine::StepBuilder b(exec);
  const engine::Value v = b.temporary("v", engine::DType::kF32, {8});
  b.keep(v);
  bool fail = false;
  b.add({"fill", "fill", {}, {v}, 0, [exec, v, &fail](const engine::StepMemory& m) {
           engine::fill_zero(exec, m.f32(v), 32);
           if (fail) fail_input("on purpose");
         }});
  const engine::Step step = std::move(b).plan(std::make_shared<engine::Arena>());
  step.run();
  fail = true;
  CHECK_THROWS_AS(step.run(), Error);
  CHECK_FALSE(step.captured());
  fail = false;
  step.run();
  CHECK(step.captured());
  CHECK(step.read_f32(v) == std::vector<float>(8, 0.0f));
}

}  // namespace
}  // namespace verace::layers::replay_test
