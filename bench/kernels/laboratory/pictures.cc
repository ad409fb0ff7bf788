// The laboratory's problems of pictures: pixels to network input and back, the attack's step.
#include "bench/kernels/laboratory/operations.h"
#include "kernels/image.h"
#include "kernels/perturb.h"

namespace verace::laboratory {
namespace {

using namespace kernels;  // NOLINT: the laboratory speaks of nothing else
template <class M, class T>
using Element = typename M::template Element<T>;

std::vector<Nhwc> pictures(const Shapes& shapes) {
  if (shapes.scale == Scale::kProof)
    return {{1, 1, 1, 3}, {2, 7, 9, 3}, {3, 8, 32, 3}, {1, 5, 33, 3}};
  if (shapes.scale == Scale::kTiny) return {{2, 8, 12, 3}};
  return {{1, 224, 224, 3}, {shapes.batch, 224, 224, 3}};
}

std::string with_channels(const Nhwc& s, int64_t channels) {
  return text(s) + (channels == 3 ? "" : ">" + std::to_string(channels));
}

template <class T>
void normalise_problems(const Nhwc& s, int64_t channels, Problems& all) {
  const int64_t count = s.rows() * channels;
  const double n = static_cast<double>(s.count()), z = static_cast<double>(count) * sizeof(T);
  add_problem<NormaliseOf<T>>(
      all, {"normalise", type_name<T>(), with_channels(s, channels), 4 * n + z, 2 * n},
      [=]<class M>(M& m) -> NormaliseOf<Element<M, T>> {
        return {s, input<float>(m, "x", s.count(), uniform(80, 0.0f, 1.0f)), PixelScale::kTorch,
                output<T>(m, "z", count, elementwise(5)), channels};
      },
      [](const Exec& e, const auto& a) { normalise(e, a); });
  add_problem<NormalisePixelsOf<T>>(
      all, {"normalise_pixels", type_name<T>(), with_channels(s, channels), n + z, 3 * n},
      [=]<class M>(M& m) -> NormalisePixelsOf<Element<M, T>> {
        return {s,
                input<uint8_t>(m, "x", s.count(), whole(81, 256)),
                input<uint8_t>(m, "flip", s.n, whole(82, 2)),
                PixelScale::kTorch,
                output<T>(m, "z", count, elementwise(5)),
                channels};
      },
      [](const Exec& e, const auto& a) { normalise_pixels(e, a); });
  add_problem<NormaliseBackwardOf<T>>(
      all, {"normalise_backward", type_name<T>(), with_channels(s, channels), 4 * n + z, n},
      [=]<class M>(M& m) -> NormaliseBackwardOf<Element<M, T>> {
        return {s, input<T>(m, "dz", count, uniform(83)), PixelScale::kTorch,
                output<float>(m, "dx", s.count(), elementwise(0)), channels};
      },
      [](const Exec& e, const auto& a) { normalise_backward(e, a); });
}

void pixel_problems(const Nhwc& s, Problems& all) {
  const int64_t count = s.count();
  const double n = static_cast<double>(count);
  add_problem<PixelsToUnit>(
      all, {"pixels_to_unit", "fp32", text(s), 5 * n, n},
      [=](auto& m) -> PixelsToUnit {
        return {s, input<uint8_t>(m, "x", count, whole(84, 256)),
                input<uint8_t>(m, "flip", s.n, whole(85, 2)),
                output<float>(m, "y", count, elementwise(0))};
      },
      [](const Exec& e, const auto& a) { pixels_to_unit(e, a); });
  add_problem<FgsmStep>(
      all, {"fgsm_step", "fp32", text(s), 12 * n, 6 * n},
      [=](auto& m) -> FgsmStep {
        FgsmStep a{count};
        a.x = input<float>(m, "x", count, uniform(86, 0.0f, 1.0f));
        a.gradient = input<float>(m, "gradient", count, uniform(87));
        a.epsilon = 0.03f;
        a.adversarial = output<float>(m, "adversarial", count, exact());
        return a;
      },
      [](const Exec& e, const auto& a) { fgsm_step(e, a); });
  add_problem<RoundToEightBits>(
      all, {"round_to_eight_bits", "fp32", text(s), 8 * n, 3 * n},
      [=](auto& m) -> RoundToEightBits {
        return {count, input<float>(m, "x", count, uniform(88, 0.0f, 1.0f)),
                output<float>(m, "y", count, elementwise(0))};
      },
      [](const Exec& e, const auto& a) { round_to_eight_bits(e, a); });
}

}  // namespace

void add_pictures(const Shapes& shapes, Problems& all) {
  for (const Nhwc& s : pictures(shapes)) {
    for_each_storage([&]<class T>(T) {
      for (const int64_t channels : {3, 4, 8}) normalise_problems<T>(s, channels, all);
    });
    pixel_problems(s, all);
  }
}

}  // namespace verace::laboratory
