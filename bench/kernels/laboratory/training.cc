// The laboratory's problems of a training step's end: Adam and loss scaling over all parameters.
#include <array>

#include "bench/kernels/laboratory/operations.h"
#include "kernels/adam.h"
#include "kernels/loss_scale.h"

namespace verace::laboratory {
namespace {

using namespace kernels;  // NOLINT: the laboratory speaks of nothing else

int64_t total(const std::vector<int64_t>& counts) {
  int64_t sum = 0;
  for (const int64_t count : counts) sum += count;
  return sum;
}

std::string text_of(const std::vector<int64_t>& counts) {
  return std::to_string(counts.size()) + " tensors, " + std::to_string(total(counts));
}

// One big tensor of each role, cut into those of a network, each on a multiple of 64 elements.
std::vector<int64_t> places(const std::vector<int64_t>& counts, int64_t& length) {
  std::vector<int64_t> at;
  length = 0;
  for (const int64_t count : counts) {
    at.push_back(length);
    length += (count + 63) / 64 * 64;
  }
  return at;
}

// Gradients of type T; with 16 bits also a copy of the weights for the next forward pass.
template <class T>
void adam_problem(const std::vector<int64_t>& counts, Problems& all) {
  constexpr bool kCopy = sizeof(T) == 2;
  const double n = static_cast<double>(total(counts));
  add_problem<AdamStep>(
      all,
      {"adam_step", type_name<T>(), text_of(counts), n * (24 + sizeof(T) + (kCopy ? sizeof(T) : 0)),
       12 * n},
      [=](auto& m) -> AdamStep {
        int64_t length = 0;
        const std::vector<int64_t> at = places(counts, length);
        const auto optimiser = [](double size) {
          return test::tolerance(test::OpClass::kOptimiser, 1, size);
        };
        float* w = in_out<float>(m, "w", length, uniform(100), optimiser(1));
        const auto* g = input<T>(m, "g", length, uniform(101));
        float* first = in_out<float>(m, "m", length, uniform(102), optimiser(1));
        float* second = in_out<float>(m, "v", length, uniform(103, 0.1f, 1.0f), optimiser(1));
        auto* copy = kCopy ? in_out<T>(m, "copy", length, constant(0), optimiser(1)) : nullptr;
        auto& tensors = m.keep(std::vector<AdamTensor>());
        for (size_t i = 0; i < counts.size(); ++i) {
          AdamTensor t{w + at[i], g + at[i], first + at[i], second + at[i], counts[i], {}};
          if (kCopy) t.copy = copy + at[i];
          tensors.push_back(t);
        }
        AdamStep a{tensors};
        a.factors = adam_factors(AdamEpsilon::kPyTorch, 1e-3, 0.9, 0.999, 1e-8, 7);
        return a;
      },
      [](const Exec& e, const AdamStep& a) { adam_step(e, a); });
}

// Unscaled by a little more than 1: repeated a hundred times, the numbers still are numbers.
template <class T>
void loss_scale_problems(const std::vector<int64_t>& counts, Problems& all) {
  const double n = static_cast<double>(total(counts));
  add_problem<FindNonFinite>(
      all, {"find_non_finite", type_name<T>(), text_of(counts), n * sizeof(T), n},
      [=](auto& m) -> FindNonFinite {
        int64_t length = 0;
        const std::vector<int64_t> at = places(counts, length);
        const auto* x = input<T>(m, "x", length, uniform(104));
        auto& tensors = m.keep(std::vector<ConstStorageTensor>());
        for (size_t i = 0; i < counts.size(); ++i) tensors.push_back({x + at[i], counts[i]});
        return {tensors, in_out<uint32_t>(m, "found", 1, constant(0), exact())};
      },
      [](const Exec& e, const FindNonFinite& a) { find_non_finite(e, a); });
  add_problem<Unscale>(
      all, {"unscale", type_name<T>(), text_of(counts), 2 * n * sizeof(T), n},
      [=](auto& m) -> Unscale {
        int64_t length = 0;
        const std::vector<int64_t> at = places(counts, length);
        auto* x = in_out<T>(m, "x", length, uniform(105), elementwise(0));
        auto& tensors = m.keep(std::vector<StorageTensor>());
        for (size_t i = 0; i < counts.size(); ++i) tensors.push_back({x + at[i], counts[i]});
        return {tensors, input<float>(m, "scale", 1, constant(1.0009765625))};
      },
      [](const Exec& e, const Unscale& a) { unscale(e, a); });
}

// The two that run in one thread: what a launch costs.
void state_problems(Problems& all) {
  add_problem<AdamAdvance>(
      all, {"adam_advance", "fp32", "1", 44, 20},
      [](auto& m) -> AdamAdvance {
        AdamAdvance a;
        a.steps = in_out<int64_t>(m, "steps", 1, constant(41), exact());
        a.factors = reinterpret_cast<AdamFactors*>(
            output<float>(m, "factors", sizeof(AdamFactors) / sizeof(float), elementwise(0)));
        return a;
      },
      [](const Exec& e, const AdamAdvance& a) { adam_advance(e, a); });
  add_problem<UpdateLossScale>(
      all, {"update_loss_scale", "fp32", "1", 32, 3},
      [](auto& m) -> UpdateLossScale {
        // 65536.0f, 17 and 3.
        const auto state = [](int64_t i) {
          return std::array{0x47800000u, 17u, 3u}.at(static_cast<size_t>(i));
        };
        UpdateLossScale a;
        a.state =
            reinterpret_cast<LossScaleState*>(in_out<uint32_t>(m, "state", 3, state, exact()));
        a.found = in_out<uint32_t>(m, "found", 1, constant(1), exact());
        return a;
      },
      [](const Exec& e, const UpdateLossScale& a) { update_loss_scale(e, a); });
}

}  // namespace

void add_training(const Shapes& shapes, Problems& all) {
  const std::vector<int64_t> counts = shapes.parameters();
  for_each_storage([&]<class T>(T) {
    adam_problem<T>(counts, all);
    loss_scale_problems<T>(counts, all);
  });
  state_problems(all);
}

}  // namespace verace::laboratory
