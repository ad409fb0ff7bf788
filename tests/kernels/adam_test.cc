// Adam against an independent optimiser in double over a dozen steps, and planted faults.
#include "kernels/adam.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/guarded.h"
#include "tests/support/random.h"
#include "tests/support/stored.h"
#include "tests/support/tolerances.h"

namespace verace::test::adam_test {
namespace {

using kernels::adam_factors;
using kernels::AdamEpsilon;
using kernels::AdamFactors;
using kernels::AdamStep;
using kernels::AdamTensor;
using kernels::Exec;

// What an implementation is told: the tensors and which step it is.
struct Step {
  AdamEpsilon placement;
  double lr, beta1, beta2, epsilon;
  long t;
};
using Operation = std::function<void(const Exec&, std::span<const AdamTensor>, const Step&)>;

void correct(const Exec& exec, std::span<const AdamTensor> tensors, const Step& s) {
  kernels::adam_step(exec,
                     {tensors, adam_factors(s.placement, s.lr, s.beta1, s.beta2, s.epsilon, s.t)});
}

// Betas that float holds exactly: the oracle then answers the very question the kernel was asked.
constexpr double kBeta1 = 0.9f, kBeta2 = 0.999f;
constexpr double kRate = 1e-3;
constexpr int kSteps = 12;

// Kingma & Ba's algorithm 1 with the corrected moments spelled out, as PyTorch's documentation
// does, and Keras' variant from the end of their section 2. Powers by multiplication.
class Oracle {
 public:
  Oracle(std::vector<double> start, AdamEpsilon placement, double lr, double epsilon)
      : w(std::move(start)),
        m(w.size()),
        v(w.size()),
        placement_(placement),
        lr_(lr),
        epsilon_(epsilon) {}

  void step(const std::vector<double>& g) {
    power1_ *= kBeta1;
    power2_ *= kBeta2;
    for (size_t i = 0; i < w.size(); ++i) {
      m[i] += (1 - kBeta1) * (g[i] - m[i]);
      v[i] += (1 - kBeta2) * (g[i] * g[i] - v[i]);
      if (placement_ == AdamEpsilon::kPyTorch) {
        const double corrected_m = m[i] / (1 - power1_), corrected_v = v[i] / (1 - power2_);
        w[i] -= lr_ * corrected_m / (std::sqrt(corrected_v) + epsilon_);
      } else {
        const double rate = lr_ * std::sqrt(1 - power2_) / (1 - power1_);
        w[i] -= rate * m[i] / (std::sqrt(v[i]) + epsilon_);
      }
    }
  }
  std::vector<double> w, m, v;

 private:
  AdamEpsilon placement_;
  double lr_, epsilon_, power1_ = 1, power2_ = 1;
};

double epsilon_of(AdamEpsilon placement) { return placement == AdamEpsilon::kKeras ? 1e-7 : 1e-8; }

// Gradients from far below epsilon (where its place decides) to far above it.
std::vector<float> gradient(int64_t count, int tensor, int t) {
  constexpr float kScale[] = {1e-8f, 1.0f, 1e-4f, 30.0f, 1e-6f, 1e-7f, 1e-2f};
  const float scale = kScale[tensor % 7];
  const auto seed = static_cast<uint64_t>(100 * tensor + t);
  return uniform(count, seed, -scale, scale);
}

struct Tensor {
  explicit Tensor(int64_t count, int index)
      : w(uniform(count, static_cast<uint64_t>(900 + index), -0.5f, 0.5f)),
        g(count),
        m(count, 0.0f),
        v(count, 0.0f) {}
  AdamTensor view() {
    return {w.data(), g.data(), m.data(), v.data(), static_cast<int64_t>(w.size())};
  }
  Guarded<float> w, g, m, v;
};

Comparison compare_state(const Tensor& got, const Oracle& want, float largest_gradient) {
  if (!got.w.intact() || !got.m.intact() || !got.v.intact()) {
    return detail::failed("wrote outside a tensor");
  }
  // Magnitude: weights move kSteps * kRate in all, moments are sums of gradients.
  Comparison result =
      compare(got.w.span(), want.w, tolerance(OpClass::kOptimiser, 1, kSteps * kRate));
  if (result) {
    result = compare(got.m.span(), want.m, tolerance(OpClass::kOptimiser, 1, largest_gradient));
  }
  if (result) result = compare(got.v.span(), want.v, tolerance(OpClass::kOptimiser, 1, 0.0));
  return result;
}

const std::vector<int64_t> kCounts{1, 7, 64, 16385, 33, 3, 40000};

// The one check that the operation and every planted fault go through: all tensors in one call,
// compared after every step.
Comparison check(const Operation& op, const Exec& exec, AdamEpsilon placement,
                 const std::vector<int64_t>& counts = kCounts) {
  std::vector<Tensor> tensors;
  std::vector<Oracle> oracles;
  const double epsilon = epsilon_of(placement);
  for (size_t k = 0; k < counts.size(); ++k) {
    tensors.emplace_back(counts[k], static_cast<int>(k));
    oracles.emplace_back(widen(tensors[k].w.span()), placement, kRate, epsilon);
  }
  std::vector<AdamTensor> views;
  for (Tensor& tensor : tensors) views.push_back(tensor.view());
  for (int t = 1; t <= kSteps; ++t) {
    std::vector<std::vector<float>> gradients;
    for (size_t k = 0; k < counts.size(); ++k) {
      gradients.push_back(gradient(counts[k], static_cast<int>(k), t));
      std::copy(gradients[k].begin(), gradients[k].end(), tensors[k].g.write().begin());
      oracles[k].step(widen(gradients[k]));
    }
    op(exec, views, {placement, kRate, kBeta1, kBeta2, epsilon, t});
    for (size_t k = 0; k < counts.size(); ++k) {
      if (!compare_bits(tensors[k].g, gradients[k])) return detail::failed("changed a gradient");
      float largest = 0.0f;
      for (const float g : gradients[k]) largest = std::max(largest, std::abs(g));
      Comparison result = compare_state(tensors[k], oracles[k], largest);
      if (!result) {
        result.message += "; step " + std::to_string(t) + ", tensor " + std::to_string(k);
        return result;
      }
    }
  }
  return {true, "all steps within tolerance", 0.0};
}

TEST_CASE("adam_step follows the oracle for twelve steps with both places of epsilon") {
  for_each_device([](const Exec& exec) {
    for (const auto placement : {AdamEpsilon::kKeras, AdamEpsilon::kPyTorch}) {
      INFO("keras ", placement == AdamEpsilon::kKeras);
      expect_ok("adam_step", check(correct, exec, placement));
      for (const int64_t count : {1, 7, 15, 16, 17, 16383, 16384, 16385, 32769}) {
        if (is_slow(exec) && count > 16383) continue;
        expect_ok("one tensor", check(correct, exec, placement, {count}));
      }
    }
  });
}

TEST_CASE("adam_factors: the first step by hand") {
  const AdamFactors keras = adam_factors(AdamEpsilon::kKeras, 1e-3, 0.9, 0.999, 1e-7, 1);
  CHECK(keras.step_size == doctest::Approx(3.16227766e-4));  // 1e-3 * sqrt(0.001) / 0.1
  CHECK(keras.root_scale == 1.0f);
  CHECK(keras.epsilon == 1e-7f);
  const AdamFactors torch = adam_factors(AdamEpsilon::kPyTorch, 1e-3, 0.9, 0.999, 1e-8, 1);
  CHECK(torch.step_size == doctest::Approx(1e-2));  // 1e-3 / 0.1
  CHECK(torch.root_scale == doctest::Approx(31.6227766));
  // Long after the start both corrections are gone.
  const AdamFactors late = adam_factors(AdamEpsilon::kPyTorch, 1e-3, 0.9, 0.999, 1e-8, 1000000);
  CHECK(late.step_size == doctest::Approx(1e-3));
  CHECK(late.root_scale == doctest::Approx(1.0));
}

TEST_CASE("the first step moves by the learning rate against the gradient's sign") {
  for_each_device([](const Exec& exec) {
    for (const auto placement : {AdamEpsilon::kKeras, AdamEpsilon::kPyTorch}) {
      Guarded<float> w(3, 1.0f), m(3, 0.0f), v(3, 0.0f);
      const Guarded<float> g(std::vector<float>{5.0f, -0.25f, 0.0f});
      const AdamTensor tensor{w.data(), g.data(), m.data(), v.data(), 3};
      kernels::adam_step(exec, {{&tensor, 1}, adam_factors(placement, 0.1, 0.9, 0.999, 1e-8, 1)});
      CHECK(w[0] == doctest::Approx(0.9).epsilon(1e-5));
      CHECK(w[1] == doctest::Approx(1.1).epsilon(1e-5));
      CHECK(w[2] == 1.0f);  // no gradient, no movement
      CHECK(m[0] == doctest::Approx(0.5).epsilon(1e-6));
      CHECK(v[0] == doctest::Approx(0.025).epsilon(1e-6));
    }
  });
}

TEST_CASE("PyTorch's epsilon divided by sqrt(1 - b2^t) is Keras'") {
  for_each_device([](const Exec& exec) {
    Tensor keras(500, 1), torch(500, 1);
    const AdamTensor keras_view = keras.view(), torch_view = torch.view();
    for (int t = 1; t <= kSteps; ++t) {
      const std::vector<float> g = uniform(500, static_cast<uint64_t>(t), -1e-6f, 1e-6f);
      std::copy(g.begin(), g.end(), keras.g.write().begin());
      std::copy(g.begin(), g.end(), torch.g.write().begin());
      const double equal_epsilon = 1e-7 / std::sqrt(1 - std::pow(kBeta2, t));
      correct(exec, {&keras_view, 1}, {AdamEpsilon::kKeras, kRate, kBeta1, kBeta2, 1e-7, t});
      correct(exec, {&torch_view, 1},
              {AdamEpsilon::kPyTorch, kRate, kBeta1, kBeta2, equal_epsilon, t});
    }
    const std::span<const float> a = torch.w.span(), b = keras.w.span();
    expect_ok("equivalence", compare(a, b, tolerance(OpClass::kOptimiser, 1, kSteps * kRate)));
    const std::vector<float> start = uniform(500, 901, -0.5f, 0.5f);
    expect_caught("nothing moved",
                  compare(start, b, tolerance(OpClass::kOptimiser, 1, kSteps * kRate)));
  });
}

std::vector<float> state_after(const Exec& exec, bool one_call, bool unaligned) {
  const int64_t shift = unaligned ? 1 : 0;
  std::vector<Tensor> tensors;
  std::vector<AdamTensor> views;
  for (size_t k = 0; k < kCounts.size(); ++k) {
    tensors.emplace_back(kCounts[k] + shift, static_cast<int>(k));
  }
  for (size_t k = 0; k < kCounts.size(); ++k) {
    Tensor& tensor = tensors[k];
    const std::vector<float> w = uniform(kCounts[k], 50 + k);
    std::copy(w.begin(), w.end(), tensor.w.data() + shift);
    views.push_back({tensor.w.data() + shift, tensor.g.data() + shift, tensor.m.data() + shift,
                     tensor.v.data() + shift, kCounts[k]});
  }
  for (int t = 1; t <= 3; ++t) {
    for (size_t k = 0; k < kCounts.size(); ++k) {
      const std::vector<float> g = gradient(kCounts[k], static_cast<int>(k), t);
      std::copy(g.begin(), g.end(), tensors[k].g.write().begin() + shift);
    }
    const Step s{AdamEpsilon::kPyTorch, kRate, kBeta1, kBeta2, 1e-8, t};
    if (one_call) correct(exec, views, s);
    for (size_t k = 0; !one_call && k < views.size(); ++k) correct(exec, {&views[k], 1}, s);
  }
  wait_for_device();
  std::vector<float> all;
  for (const AdamTensor& view : views) {
    for (const float* part : {view.w, view.m, view.v}) {
      all.insert(all.end(), part, part + view.count);
    }
  }
  return all;
}

TEST_CASE("adam_step: threads, the division into calls and alignment change no bit") {
  const auto cpu = [](int threads) {
    return kernels::make_exec(kernels::DeviceKind::kCpu, threads);
  };
  const std::vector<float> want = state_after(cpu(1), true, false);
  expect_ok("two threads", compare_bits(state_after(cpu(2), true, false), want));
  expect_ok("three threads", compare_bits(state_after(cpu(3), true, false), want));
  expect_ok("one call per tensor", compare_bits(state_after(cpu(2), false, false), want));
  expect_ok("unaligned", compare_bits(state_after(cpu(2), true, true), want));
}

TEST_CASE("adam_step on CUDA: the schedule, the division into calls and alignment change no bit") {
  for_each_cuda_device([](const Exec& exec) {
    const std::vector<float> want = state_after(exec, true, false);
    expect_ok("one call per tensor", compare_bits(state_after(exec, false, false), want));
    expect_ok("unaligned", compare_bits(state_after(exec, true, true), want));
    expect_ok("schedules",
              always_same_bits(exec, [](const Exec& e) { return state_after(e, true, false); }));
  });
}

TEST_CASE("adam_step: nothing to do is fine, empty tensors between others too") {
  for_each_device([](const Exec& exec) {
    kernels::adam_step(exec, {{}, adam_factors(AdamEpsilon::kKeras, kRate, 0.9, 0.999, 1e-7, 1)});
    Tensor tensor(5, 1);
    std::fill_n(tensor.g.write().begin(), 5, 1.0f);
    const std::vector<float> before = tensor.w.copy();
    const std::vector<AdamTensor> views{{}, tensor.view(), {}};
    correct(exec, views, {AdamEpsilon::kKeras, kRate, kBeta1, kBeta2, 1e-7, 1});
    for (int64_t i = 0; i < 5; ++i) {
      CHECK(tensor.w[i] == doctest::Approx(before[static_cast<size_t>(i)] - 1e-3));
    }
  });
}

TEST_CASE("adam_step: gradients whose square underflows still give a finite step") {
  for_each_device([](const Exec& exec) {
    Guarded<float> w(2, 1.0f), m(2, 0.0f), v(2, 0.0f);
    const Guarded<float> g(std::vector<float>{1e-30f, -1e-40f});
    const AdamTensor tensor{w.data(), g.data(), m.data(), v.data(), 2};
    for (int t = 1; t <= 3; ++t) {
      correct(exec, {&tensor, 1}, {AdamEpsilon::kKeras, kRate, kBeta1, kBeta2, 1e-7, t});
    }
    CHECK(w.copy() == std::vector<float>{1.0f, 1.0f});
  });
}

// One tensor with a gradient of type G, scaled by 512, and a copy of type C, through three steps.
template <typename G, typename C>
Comparison check_storage(const Exec& exec, int64_t count, int64_t shift) {
  constexpr float kScale = 512.0f;
  Tensor tensor(count, 3);
  Oracle oracle(widen(tensor.w.span()), AdamEpsilon::kPyTorch, kRate, 1e-8);
  Shifted<C> copy(count, std::numeric_limits<float>::quiet_NaN(), shift);
  const Guarded<float> scale(1, kScale);
  for (int t = 1; t <= 3; ++t) {
    std::vector<float> scaled = uniform(count, static_cast<uint64_t>(700 + t), -30.0f, 30.0f);
    scaled = rounded<G>(scaled);
    const Shifted<G> g(scaled, shift);
    std::vector<double> gradient(scaled.begin(), scaled.end());
    for (double& value : gradient) value /= kScale;
    oracle.step(gradient);
    AdamTensor view = tensor.view();
    view.g = g.data();
    view.copy = copy.data();
    AdamStep step{{&view, 1}, adam_factors(AdamEpsilon::kPyTorch, kRate, kBeta1, kBeta2, 1e-8, t)};
    step.gradient_scale = scale.data();
    kernels::adam_step(exec, step);
    if (!g.intact() || !copy.intact()) return detail::failed("wrote outside a tensor");
    const Comparison state = compare_state(tensor, oracle, 30.0f / kScale);
    if (!state) return state;
    const std::vector<float> w = tensor.w.copy();
    const Comparison copied = compare_bits(copy.floats(), rounded<C>(w));
    if (!copied) return copied;
  }
  return {true, "", 0.0};
}

TEST_CASE("adam_step: gradients and copies of every storage type, unscaled, with tails") {
  for_each_device([](const Exec& exec) {
    for (const int64_t count : {1, 7, 8, 9, 31, 33, 1000, 4095, 4096, 4097}) {
      for (const int64_t shift : {0, 1}) {
        using kernels::BFloat16;
        using kernels::Half;
        INFO("count ", count, ", shift ", shift);
        expect_ok("fp16", check_storage<Half, Half>(exec, count, shift));
        expect_ok("bf16", check_storage<BFloat16, BFloat16>(exec, count, shift));
        expect_ok("mixed", check_storage<float, Half>(exec, count, shift));
        expect_ok("fp32 copy", check_storage<Half, float>(exec, count, shift));
      }
    }
  });
}

TEST_CASE("adam_step: a set skip flag changes nothing, a cleared one everything") {
  for_each_device([](const Exec& exec) {
    for (const uint32_t flag : {0u, 1u, 7u}) {
      Tensor tensor(5000, 1);
      std::fill_n(tensor.g.write().begin(), 5000, 1.0f);
      Guarded<kernels::Half> copy(5000, kernels::Half{0x1234});
      const std::vector<float> before = tensor.w.copy();
      const Guarded<uint32_t> skip(1, flag);
      AdamTensor view = tensor.view();
      view.copy = copy.data();
      AdamStep step{{&view, 1}, adam_factors(AdamEpsilon::kPyTorch, kRate, 0.9, 0.999, 1e-8, 1)};
      step.skip = skip.data();
      kernels::adam_step(exec, step);
      const bool same = compare_bits(tensor.w, before).ok;
      CHECK(same == (flag != 0));
      CHECK((tensor.m[4999] == 0.0f) == (flag != 0));
      CHECK((tensor.v[0] == 0.0f) == (flag != 0));
      CHECK((copy[77] == kernels::Half{0x1234}) == (flag != 0));
    }
  });
}

TEST_CASE("adam_advance: factors and steps live on the device; a skipped step does not count") {
  for_each_device([](const Exec& exec) {
    for (const auto placement : {AdamEpsilon::kKeras, AdamEpsilon::kPyTorch}) {
      Tensor live(300, 1), told(300, 1);
      Guarded<AdamFactors> factors(1);
      Guarded<int64_t> steps(1, 0);
      Guarded<uint32_t> skip(1, 0u);
      const AdamTensor live_view = live.view(), told_view = told.view();
      long taken = 0;
      for (int t = 1; t <= 9; ++t) {
        skip.write()[0] = t % 3 == 2 ? 1 : 0;
        const std::vector<float> g = uniform(300, static_cast<uint64_t>(t));
        std::copy(g.begin(), g.end(), live.g.write().begin());
        std::copy(g.begin(), g.end(), told.g.write().begin());
        kernels::adam_advance(exec, {placement, kRate, kBeta1, kBeta2, 1e-8, skip.data(),
                                     steps.data(), factors.data()});
        AdamStep step{{&live_view, 1}};
        step.live_factors = factors.data();
        step.skip = skip.data();
        kernels::adam_step(exec, step);
        if (skip[0] == 0) {
          correct(exec, {&told_view, 1}, {placement, kRate, kBeta1, kBeta2, 1e-8, ++taken});
        }
        CHECK(steps[0] == taken);
      }
      CHECK(factors.intact());
      CHECK(steps.intact());
      const std::span<const float> got = live.w.span(), want = told.w.span();
      expect_ok("same way", compare(got, want, tolerance(OpClass::kOptimiser, 1, kSteps * kRate)));
    }
  });
}

// ResNet-50 has 161 parameter tensors; the table of one launch holds 32, 192 or 512.
TEST_CASE("adam_step: many tensors, also more than one launch takes") {
  for_each_device([](const Exec& exec) {
    for (const int64_t count : {32, 33, 161, 192, 193, 512, 513}) {
      Guarded<float> w(count, 1.0f), m(count, 0.0f), v(count, 0.0f);
      const Guarded<float> g(uniform(count, 5, 0.5f, 1.0f));
      std::vector<AdamTensor> views;
      for (int64_t i = 0; i < count; ++i) {
        views.push_back({w.data() + i, g.data() + i, m.data() + i, v.data() + i, 1});
      }
      const auto before = test::kernels_launched();
      correct(exec, views, {AdamEpsilon::kPyTorch, 0.25, kBeta1, kBeta2, 1e-8, 1});
      const bool is_cuda = exec.device == kernels::DeviceKind::kCuda;
      if (before) {
        CHECK(*test::kernels_launched() - *before == (is_cuda ? (count <= 512 ? 1 : 2) : 0));
      }
      for (int64_t i = 0; i < count; ++i) CHECK(w[i] == doctest::Approx(0.75).epsilon(1e-6));
    }
  });
}

// Spoils the factors of the correct step.
Operation with_factors(const std::function<void(AdamFactors&, const Step&)>& change) {
  return [change](const Exec& exec, std::span<const AdamTensor> tensors, const Step& s) {
    AdamFactors f = adam_factors(s.placement, s.lr, s.beta1, s.beta2, s.epsilon, s.t);
    change(f, s);
    kernels::adam_step(exec, {tensors, f});
  };
}

// Runs the correct step on changed gradients.
Operation with_gradient(const std::function<float(float)>& change) {
  return [change](const Exec& exec, std::span<const AdamTensor> tensors, const Step& s) {
    for (AdamTensor tensor : tensors) {
      const float* from = tensor.g.as<float>();
      std::vector<float> g(from, from + tensor.count);
      for (float& value : g) value = change(value);
      tensor.g = static_cast<const float*>(g.data());
      correct(exec, {&tensor, 1}, s);
    }
  };
}

TEST_CASE("adam_step: planted faults are caught") {
  const Exec exec = kernels::make_exec(kernels::DeviceKind::kCpu, 1);
  for (const auto placement : {AdamEpsilon::kKeras, AdamEpsilon::kPyTorch}) {
    const auto caught = [&](const char* fault, const Operation& op) {
      expect_caught(fault, check(op, exec, placement));
    };
    const bool keras = placement == AdamEpsilon::kKeras;
    caught("epsilon in the other place", [&](const Exec& e, auto tensors, Step s) {
      s.placement = keras ? AdamEpsilon::kPyTorch : AdamEpsilon::kKeras;
      correct(e, tensors, s);
    });
    caught("epsilon under the root",
           with_factors([](AdamFactors& f, const Step&) { f.epsilon = std::sqrt(f.epsilon); }));
    caught("no correction of the first moment", with_factors([](AdamFactors& f, const Step& s) {
             f.step_size *= static_cast<float>(1 - std::pow(s.beta1, s.t));
           }));
    caught("no correction of the second moment", with_factors([&](AdamFactors& f, const Step& s) {
             const auto root = static_cast<float>(std::sqrt(1 - std::pow(s.beta2, s.t)));
             if (keras) f.step_size /= root;
             if (!keras) f.root_scale = 1.0f;
           }));
    caught("steps counted from zero", [](const Exec& e, auto tensors, Step s) {
      s.t = std::max(1L, s.t - 1);
      correct(e, tensors, s);
    });
    caught("betas swapped", [](const Exec& e, auto tensors, Step s) {
      std::swap(s.beta1, s.beta2);
      correct(e, tensors, s);
    });
    caught("step scaled by 1.001",
           with_factors([](AdamFactors& f, const Step&) { f.step_size *= 1.001f; }));
    caught("gradient scaled by 1.00001", with_gradient([](float g) { return g * 1.00001f; }));
    caught("ascent", with_gradient([](float g) { return -g; }));
    caught("gradient ignored", with_gradient([](float) { return 0.0f; }));
    caught("one NaN", [](const Exec& e, auto tensors, const Step& s) {
      correct(e, tensors, s);
      tensors[3].w[16384] = std::numeric_limits<float>::quiet_NaN();
    });
    caught("last tensor left out",
           [](const Exec& e, std::span<const AdamTensor> tensors, const Step& s) {
             correct(e, tensors.first(tensors.size() - 1), s);
           });
    caught("tail left out", [](const Exec& e, std::span<const AdamTensor> tensors, const Step& s) {
      for (AdamTensor tensor : tensors) {
        tensor.count -= tensor.count % 16;
        correct(e, {&tensor, 1}, s);
      }
    });
    caught("overlapping pieces", [](const Exec& e, std::span<const AdamTensor> tensors,
                                    const Step& s) {
      correct(e, tensors, s);
      const AdamTensor& t = tensors[3];
      const AdamTensor again{t.w + 16384, t.g.as<float>() + 16384, t.m + 16384, t.v + 16384, 1};
      correct(e, {&again, 1}, s);
    });
    caught("moments not kept",
           [](const Exec& e, std::span<const AdamTensor> tensors, const Step& s) {
             for (const AdamTensor& t : tensors) {
               std::fill_n(t.m, t.count, 0.0f);
               std::fill_n(t.v, t.count, 0.0f);
             }
             correct(e, tensors, s);
           });
    caught("one element too many", [](const Exec& e, auto tensors, const Step& s) {
      correct(e, tensors, s);
      tensors[0].w[tensors[0].count] += 1.0f;
    });
  }
}

}  // namespace
}  // namespace verace::test::adam_test
