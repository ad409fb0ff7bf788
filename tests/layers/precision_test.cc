// The whole narrow network with 16-bit storage against fp32: every operation by itself, logits and
// attacks; and which of its tensors stay fp32.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "kernels/scalar_math.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/trained_network.h"

namespace verace::layers::precision_test {
namespace {

using engine::DType;
using test::distance;
using test::Golden;
using test::make_training;
using test::norm;
using test::one_thread;
using test::Precision;
using test::roundoff;
using test::Trained;

// Every real value that the operations of a run wrote, by name.
using Values = std::map<std::string, std::vector<float>>;

// Runs `step`; gradients are divided by the scale that they come with.
Values run_observed(const engine::Step& step, float scale) {
  Values seen;
  step.run(nullptr, [&](const engine::Operation& operation, const engine::StepMemory&) {
    for (const engine::Value v : operation.writes) {
      const engine::ValueInfo& info = step.info(v);
      if (!engine::is_real(info.dtype) || info.role == engine::ValueRole::kAuxiliary) continue;
      REQUIRE_MESSAGE(!seen.contains(info.name), info.name);
      std::vector<float> values = step.read_f32(v);
      const bool unscaled = info.name == "dx";
      if ((info.role == engine::ValueRole::kGradient || info.name == "dlogits") && !unscaled) {
        for (float& value : values) value /= scale;
      }
      seen[info.name] = std::move(values);
    }
  });
  return seen;
}

// |got - want| as a share of what one rounding to the storage type of `p` may change; `scale`: what
// the numbers were multiplied by when they were rounded.
double share_of_rounding(std::span<const float> got, std::span<const float> want, Precision p,
                         float scale) {
  const double smallest = p == Precision::kFp16 ? 0x1p-25 / scale : 0.0;
  const double root = std::sqrt(static_cast<double>(want.size()));
  return distance(got, want) * norm(want) / (roundoff(p) * norm(want) + smallest * root);
}

// An operation rounds its result once. Where it reads what another one rounded on the way (filters,
// the gradient behind the cast, dz of a forked batch norm), its CPU counterpart reads it unrounded:
// once more.
constexpr double kRoundings = 2.0;

struct Worst {
  double share = 0;
  std::string name;
  bool ok() const { return share <= kRoundings; }
  void take(double other, const std::string& whose) {
    if (!std::isnan(share) && !(other <= share)) share = other, name = whose;
  }
};

// Runs `step`, the fp32 one on the CPU, and puts in the place of each value that an operation wrote
// the one of `seen`: each operation gets the inputs that its 16-bit counterpart had, so that what
// the network makes of earlier roundings does not count. Returns the largest share of rounding.
Worst compare_operations(const engine::Step& step, const Values& seen, Precision p, float scale) {
  Worst worst;
  step.run(nullptr, [&](const engine::Operation& operation, const engine::StepMemory& m) {
    for (const engine::Value v : operation.writes) {
      const engine::ValueInfo& info = step.info(v);
      if (info.dtype != engine::DType::kF32 || info.role == engine::ValueRole::kAuxiliary) continue;
      const auto found = seen.find(info.name);
      REQUIRE_MESSAGE(found != seen.end(), info.name);
      const double share = share_of_rounding(step.read_f32(v), found->second, p, scale);
      worst.take(share, info.name);
      std::ranges::copy(found->second, m.f32(v));
    }
  });
  return worst;
}

// The same for the gradients of parameters that `want`, fp32, and `got` were left with.
Worst compare_parameter_gradients(const Trained& want, const Trained& got, float scale) {
  Worst worst;
  const auto wanted = want.classifier->table().trainable_parameters();
  const auto found = got.classifier->table().trainable_parameters();
  REQUIRE(wanted.size() == found.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    std::vector<float> values = engine::read(found[i]->gradient);
    for (float& v : values) v /= scale;
    const double share = share_of_rounding(values, engine::read(wanted[i]->gradient),
                                           got.classifier->precision(), scale);
    worst.take(share, wanted[i]->name);
  }
  return worst;
}

// Both of one step; `spoil` may change what the 16-bit step was seen to write.
template <typename Spoil>
Worst compare_training(const Golden& g, const kernels::Exec& exec, Precision p,
                       const std::string& freeze, const Spoil& spoil) {
  const float scale = engine::needs_loss_scale(p) ? 1024.0f : 1.0f;
  const Trained got = make_training(g, exec, {.precision = p, .freeze = freeze, .scale = scale});
  const Trained want = make_training(g, one_thread(), {.freeze = freeze});
  got.write_inputs(g);
  want.write_inputs(g);
  Values seen = run_observed(got.t.step, scale);
  spoil(seen);
  Worst worst = compare_operations(want.t.step, seen, p, scale);
  const Worst gradients = compare_parameter_gradients(want, got, scale);
  worst.take(gradients.share, gradients.name);
  return worst;
}

std::vector<float> evaluate(const Golden& g, const kernels::Exec& exec, Precision precision) {
  auto classifier = g.make();
  classifier->table().move_to(engine::memory_of(exec));
  classifier->set_precision(precision);
  auto t = classifier->plan_inference(exec, std::make_shared<engine::Arena>(),
                                      static_cast<int64_t>(g.labels.size()), true);
  t.step.write(t.pictures, std::span<const float>(g.input));
  t.step.run();
  return t.step.read_f32(t.logits);
}

// A network and its gradient step.
struct Attacked {
  std::unique_ptr<Classifier> classifier;
  GradientStep t;

  std::vector<float> dx() const {
    t.step.run();
    return t.step.read_f32(t.dx);
  }
};

// `sure`: its logits are this many times larger; the labels are what it takes them for, so that
// dlogits are small.
Attacked attack(const Golden& g, const kernels::Exec& exec, Precision precision, float sure) {
  Attacked result{g.make(), {}};
  engine::Layer& head = *result.classifier->table().find("fc.2");
  for (float& v : head.parameter("weight").value.f32_span()) v *= sure;
  for (float& v : head.parameter("bias").value.f32_span()) v *= sure;
  result.classifier->table().move_to(engine::memory_of(exec));
  result.classifier->set_precision(precision);
  result.t = result.classifier->plan_gradient(exec, std::make_shared<engine::Arena>(),
                                              static_cast<int64_t>(g.labels.size()));
  result.t.step.write(result.t.pictures, std::span<const float>(g.input));
  std::vector<int32_t> labels;
  const std::vector<float> logits = g.model.read_f32("eval/logits");
  for (size_t i = 0; i < logits.size(); i += 2) labels.push_back(logits[i + 1] > logits[i] ? 1 : 0);
  result.t.step.write(result.t.labels, std::span<const int32_t>(labels));
  return result;
}

double equal_signs(std::span<const float> a, std::span<const float> b) {
  int64_t equal = 0;
  for (size_t i = 0; i < a.size(); ++i) equal += kernels::sign_of(a[i]) == kernels::sign_of(b[i]);
  return static_cast<double>(equal) / static_cast<double>(a.size());
}

int64_t count_kind(const engine::Step& step, const std::string& kind) {
  return std::ranges::count_if(step.operations(), [&](const auto& o) { return o.kind == kind; });
}

}  // namespace

TEST_CASE("every operation of a training step in 16-bit storage agrees with its fp32 form") {
  test::for_each_cuda_device([&](const kernels::Exec& exec) {
    for (const Golden& g : {test::open_torch_golden(), test::open_keras_golden()}) {
      for (const Precision p : test::kSixteenBits) {
        for (const std::string freeze : {"none", "keras:15"}) {
          const Worst worst = compare_training(g, exec, p, freeze, [](Values&) {});
          CHECK_MESSAGE(worst.ok(), std::string(engine::to_string(p)), ", frozen: ", freeze, ": ",
                        worst.name, " is off by ", worst.share, " roundings");
        }
      }
    }
    const Golden g = test::open_torch_golden();
    const auto caught = [&](const std::string& fault, const std::string& value, auto spoil) {
      const auto one = [&](Values& seen) {
        REQUIRE(seen.contains(value));
        for (float& v : seen[value]) v = spoil(v);
      };
      test::expect_caught(fault, compare_training(g, exec, Precision::kFp16, "none", one).ok());
    };
    caught("three units in the last place", "layer2.1.conv2 z",
           [](float v) { return v * (1 + 3 * 0x1p-11f); });
    caught("the scale twice", "layer3.0.conv2 dx", [](float v) { return v / 1024; });
    caught("a gradient that vanished", "layer1.0.conv1 dx", [](float) { return 0.0f; });
    caught("a NaN", "maxpool output", [](float v) { return v > 0 ? NAN : v; });
    caught("a mean in bf16", "bn1 mean",
           [](float v) { return kernels::to_float(kernels::from_float<kernels::BFloat16>(v)); });
  });
}

TEST_CASE("logits in 16-bit storage agree with fp32") {
  // 53 convolutions, three roundings each (filter, output, normalised output), independent of each
  // other: sqrt(159) = 13 roundings; half as much again for what cancels in batch norms.
  for (const Golden& g : {test::open_torch_golden(), test::open_keras_golden()}) {
    const std::vector<float> want = g.model.read_f32("eval/logits");
    test::for_each_cuda_device([&](const kernels::Exec& exec) {
      for (const Precision p : test::kSixteenBits) {
        const std::vector<float> got = evaluate(g, exec, p);
        const double share = distance(got, want) / roundoff(p);
        INFO(std::string(engine::to_string(p)), ": ", share, " roundings");
        CHECK(share <= 20);
        CHECK(share > 0.01);  // it was not fp32 after all
      }
      const std::vector<float> half = evaluate(g, exec, Precision::kFp16);
      test::expect_caught(
          "fp16 with bf16's digits",
          distance(evaluate(g, exec, Precision::kBf16), half) <= 20 * roundoff(Precision::kFp16));
    });
  }
}

TEST_CASE("what is stored in 16 bits, and what stays fp32") {
  const Golden g = test::open_torch_golden();
  test::for_each_cuda_device([&](const kernels::Exec& exec) {
    for (const Precision p : test::kSixteenBits) {
      const DType stored = engine::storage_of(p);
      const Trained t = make_training(g, exec, {.precision = p});
      int64_t seen = 0;
      for (const engine::Operation& operation : t.t.step.operations()) {
        const bool head =
            operation.name.starts_with("fc.") || operation.name.starts_with("softmax");
        for (const engine::Value v : operation.writes) {
          const engine::ValueInfo& info = t.t.step.info(v);
          if (info.role == engine::ValueRole::kAuxiliary) continue;
          const bool wide = head || info.role == engine::ValueRole::kStatistic ||
                            operation.name == "avgpool cast";
          CHECK_MESSAGE(info.dtype == (wide ? DType::kF32 : stored), info.name);
          ++seen;
        }
      }
      CHECK(seen > 300);
      for (const auto& layer : t.classifier->table().layers()) {
        for (const auto& parameter : layer->parameters) {
          CHECK(parameter->value.dtype() == DType::kF32);
          if (parameter->statistic) continue;
          const bool filter = layer->kind == engine::LayerKind::kConvolution;
          CHECK_MESSAGE(parameter->gradient.dtype() == (filter ? stored : DType::kF32),
                        parameter->name);
        }
      }
      for (const auto& moments : t.adam->moments()) CHECK(moments.m.dtype() == DType::kF32);
      // One copy of a filter serves the forward pass and the gradient of its input.
      CHECK(count_kind(t.t.step, "pack weights") == 53);
    }
    // cuDNN reads fp32 weights as they are.
    CHECK(count_kind(make_training(g, exec).t.step, "pack weights") == 0);
    CHECK(count_kind(make_training(g, exec, {.precision = Precision::kTf32}).t.step, "cast") == 0);
  });
}

TEST_CASE("every operation of an attack's gradient in 16-bit storage agrees with its fp32 form") {
  const Golden g = test::open_torch_golden();
  test::for_each_cuda_device([&](const kernels::Exec& exec) {
    for (const Precision p : test::kSixteenBits) {
      const float scale = p == Precision::kFp16 ? GradientStep::kHalfScale : 1.0f;
      const Attacked got = attack(g, exec, p, 1.0f);
      const Attacked want = attack(g, one_thread(), Precision::kFp32, 1.0f);
      const Values seen = run_observed(got.t.step, scale);
      const Worst worst = compare_operations(want.t.step, seen, p, scale);
      CHECK_MESSAGE(worst.ok(), std::string(engine::to_string(p)), ": ", worst.name, " is off by ",
                    worst.share, " roundings");
    }
  });
}

TEST_CASE("signs of an attack's gradient agree with fp32, also of a network that is sure") {
  // ReLUs whose input is within the rounding of zero open or close: of this small network's
  // gradient that moves a quarter in fp16 and two thirds in bf16, which turns the signs of what is
  // small in it (a share of atan(1/4) / pi = 0.08 and atan(2/3) / pi = 0.19).
  const Golden g = test::open_torch_golden();
  test::for_each_cuda_device([&](const kernels::Exec& exec) {
    for (const float sure : {1.0f, 10.0f}) {
      const std::vector<float> want = attack(g, one_thread(), Precision::kFp32, sure).dx();
      for (const Precision p : test::kSixteenBits) {
        const std::vector<float> got = attack(g, exec, p, sure).dx();
        INFO(std::string(engine::to_string(p)), ", logits times ", sure);
        CHECK(equal_signs(got, want) >= (p == Precision::kFp16 ? 0.90 : 0.75));
        CHECK(distance(got, want) <= (p == Precision::kFp16 ? 0.35 : 0.90));
      }
    }
    // dlogits that the scale does not save: what fp16 cannot do, and bf16 can.
    const std::vector<float> want = attack(g, one_thread(), Precision::kFp32, 40.0f).dx();
    test::expect_caught("gradients that vanish",
                        equal_signs(attack(g, exec, Precision::kFp16, 40.0f).dx(), want) >= 0.75);
    CHECK(equal_signs(attack(g, exec, Precision::kBf16, 40.0f).dx(), want) >= 0.75);
  });
}

}  // namespace verace::layers::precision_test
