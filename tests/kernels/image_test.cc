// Pictures to network input and back: values by hand, an oracle in double, and planted faults.
#include "kernels/image.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "kernels/check.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/gradient_check.h"
#include "tests/support/guarded.h"
#include "tests/support/random.h"
#include "tests/support/stored.h"
#include "tests/support/tolerances.h"

namespace verace::test::image_test {
namespace {

using kernels::Exec;
using kernels::Nhwc;
using kernels::Normalise;
using kernels::NormaliseBackward;
using kernels::NormalisePixels;
using kernels::PixelScale;
using kernels::PixelsToUnit;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr PixelScale kModes[] = {PixelScale::kCaffe, PixelScale::kTorch, PixelScale::kTf,
                                 PixelScale::kUnit, PixelScale::kCaffeRounded};
const std::vector<Nhwc> kShapes{{1, 1, 1, 3},     {2, 3, 5, 3},   {1, 2, 7, 3}, {3, 17, 33, 3},
                                {2, 1, 16385, 3}, {4, 64, 64, 3}, {5, 1, 16, 3}};

std::string name(PixelScale mode) {
  constexpr const char* kNames[] = {"caffe", "torch", "tf", "unit", "caffe-rounded"};
  return kNames[static_cast<int>(mode)];
}

std::vector<uint8_t> pixels(const Nhwc& shape) {
  std::vector<uint8_t> result(static_cast<size_t>(shape.count()));
  for (size_t i = 0; i < result.size(); ++i) {
    result[i] = static_cast<uint8_t>(random_bits(41, i) & 255);
  }
  return result;
}

// Every other image is mirrored, the first one too (values other than 1 count as well).
std::vector<uint8_t> flips(const Nhwc& shape) {
  std::vector<uint8_t> result;
  for (int64_t i = 0; i < shape.n; ++i)
    result.push_back(i % 2 == 0 ? static_cast<uint8_t>(i + 1) : 0);
  return result;
}

// Network input from a unit pixel (r, g, b), by the definitions in Keras' preprocess_input.
std::array<double, 3> normalised(PixelScale mode, const std::array<double, 3>& rgb) {
  const auto [r, g, b] = rgb;
  switch (mode) {
    case PixelScale::kCaffe:
      return {255 * b - 103.939, 255 * g - 116.779, 255 * r - 123.68};
    case PixelScale::kCaffeRounded:
      return {255 * b - 104, 255 * g - 117, 255 * r - 123};
    case PixelScale::kTorch:
      return {(r - 0.485) / 0.229, (g - 0.456) / 0.224, (b - 0.406) / 0.225};
    case PixelScale::kTf:
      return {r * 255 / 127.5 - 1, g * 255 / 127.5 - 1, b * 255 / 127.5 - 1};
    case PixelScale::kUnit:
      break;
  }
  return rgb;
}

// Largest operand of the scaling: what the rounding is relative to.
double magnitude(PixelScale mode) {
  return mode == PixelScale::kCaffe || mode == PixelScale::kCaffeRounded ? 255.0 : 4.5;
}

std::vector<double> unit_oracle(const Nhwc& s, const std::vector<uint8_t>& x,
                                const std::vector<uint8_t>& flip) {
  std::vector<double> y;
  for (int64_t n = 0; n < s.n; ++n) {
    const bool mirrored = !flip.empty() && flip[static_cast<size_t>(n)] != 0;
    for (int64_t h = 0; h < s.h; ++h) {
      for (int64_t w = 0; w < s.w; ++w) {
        const int64_t column = mirrored ? s.w - w - 1 : w;
        for (int64_t c = 0; c < 3; ++c) {
          y.push_back(x[static_cast<size_t>(c + 3 * (column + s.w * (h + s.h * n)))] / 255.0);
        }
      }
    }
  }
  return y;
}

std::vector<double> normalise_oracle(PixelScale mode, const std::vector<double>& x) {
  std::vector<double> z;
  for (size_t i = 0; i < x.size(); i += 3) {
    for (const double value : normalised(mode, {x[i], x[i + 1], x[i + 2]})) z.push_back(value);
  }
  return z;
}

using UnitOperation = std::function<void(const Exec&, const PixelsToUnit&)>;
using NormaliseOperation = std::function<void(const Exec&, const Normalise&)>;
using PixelOperation = std::function<void(const Exec&, const NormalisePixels&)>;
using BackwardOperation = std::function<void(const Exec&, const NormaliseBackward&)>;

// A guarded tensor of bytes that starts `shift` bytes behind an aligned address.
class ShiftedBytes {
 public:
  ShiftedBytes(const std::vector<uint8_t>& values, int64_t shift)
      : shift_(shift), all_(static_cast<int64_t>(values.size()) + shift) {
    std::copy(values.begin(), values.end(), all_.write().begin() + shift);
  }
  const uint8_t* data() const { return all_.data() + shift_; }
  bool holds(const std::vector<uint8_t>& values) const {
    return all_.intact() && std::equal(values.begin(), values.end(), data());
  }

 private:
  int64_t shift_;
  Guarded<uint8_t> all_;
};

// The checks that the operations and every planted fault go through.
Comparison check_unit(const UnitOperation& op, const Exec& exec, const Nhwc& shape, bool flipped,
                      int64_t shift = 0) {
  const std::vector<uint8_t> input = pixels(shape),
                             flip = flipped ? flips(shape) : std::vector<uint8_t>{};
  const ShiftedBytes x(input, shift);
  const Guarded<uint8_t> f(flip);
  Shifted<float> y(shape.count(), kNan, shift);
  op(exec, {shape, x.data(), flipped ? f.data() : nullptr, y.data()});
  if (!y.intact() || !x.holds(input)) return detail::failed("wrote outside its output");
  // The quotient must be the rounded one.
  return compare_bits(y.floats(), narrow(unit_oracle(shape, input, flip)));
}

// How the network's side of a picture lies in memory.
struct Layout {
  int64_t channels = 3;  // those behind the third are padding
  int64_t shift = 0;     // elements that the tensors lie behind an aligned address
};

// Only the channels that mean something; fails on a padding that is not zero.
template <typename T>
Comparison without_padding(const Shifted<T>& z, const Layout& layout, std::vector<float>& out) {
  const std::vector<float> all = z.floats();
  for (size_t i = 0; i < all.size(); ++i) {
    const bool padding = static_cast<int64_t>(i) % layout.channels >= 3;
    if (!padding) out.push_back(all[i]);
    if (padding && !(all[i] == 0.0f)) return detail::failed("the padding is not zero");
  }
  return {true, "", 0.0};
}

template <typename T>
using NormaliseOf = std::function<void(const Exec&, const kernels::NormaliseOf<T>&)>;
template <typename T>
using PixelsOf = std::function<void(const Exec&, const kernels::NormalisePixelsOf<T>&)>;
template <typename T>
using BackwardOf = std::function<void(const Exec&, const kernels::NormaliseBackwardOf<T>&)>;

template <typename T>
Comparison check_normalise_as(const NormaliseOf<T>& op, const Exec& exec, const Nhwc& shape,
                              PixelScale mode, const Layout& layout) {
  const std::vector<float> input = uniform(shape.count(), 42, 0.0f, 1.0f);
  const Shifted<float> x(input, layout.shift);
  Shifted<T> z(shape.rows() * layout.channels, kNan, layout.shift);
  op(exec, {shape, x.data(), mode, z.data(), layout.channels});
  if (!z.intact() || !compare_bits(x.floats(), input)) {
    return detail::failed("wrote outside its output");
  }
  std::vector<float> got;
  const Comparison padding = without_padding(z, layout, got);
  if (!padding) return padding;
  return compare(got, normalise_oracle(mode, widen(input)),
                 stored_as<T>(tolerance(OpClass::kElementwise, 1, magnitude(mode))));
}
Comparison check_normalise(const NormaliseOperation& op, const Exec& exec, const Nhwc& shape,
                           PixelScale mode) {
  return check_normalise_as<float>(op, exec, shape, mode, {});
}

template <typename T>
Comparison check_pixels_as(const PixelsOf<T>& op, const Exec& exec, const Nhwc& shape,
                           PixelScale mode, bool flipped, const Layout& layout) {
  const std::vector<uint8_t> input = pixels(shape),
                             flip = flipped ? flips(shape) : std::vector<uint8_t>{};
  const ShiftedBytes x(input, layout.shift);
  const Guarded<uint8_t> f(flip);
  Shifted<T> z(shape.rows() * layout.channels, kNan, layout.shift);
  op(exec, {shape, x.data(), flipped ? f.data() : nullptr, mode, z.data(), layout.channels});
  if (!z.intact() || !x.holds(input)) return detail::failed("wrote outside its output");
  std::vector<float> got;
  const Comparison padding = without_padding(z, layout, got);
  if (!padding) return padding;
  return compare(got, normalise_oracle(mode, unit_oracle(shape, input, flip)),
                 stored_as<T>(tolerance(OpClass::kElementwise, 1, magnitude(mode))));
}
Comparison check_pixels(const PixelOperation& op, const Exec& exec, const Nhwc& shape,
                        PixelScale mode, bool flipped) {
  return check_pixels_as<float>(op, exec, shape, mode, flipped, {});
}

// dx by transposing the normalisation: its effect on unit vectors. The padding holds NaN.
template <typename T>
Comparison check_backward_as(const BackwardOf<T>& op, const Exec& exec, const Nhwc& shape,
                             PixelScale mode, const Layout& layout) {
  const std::vector<float> input = rounded<T>(uniform(shape.count(), 43));
  std::vector<double> want;
  const std::array<double, 3> zero = normalised(mode, {0, 0, 0});
  for (size_t i = 0; i < input.size(); i += 3) {
    for (size_t c = 0; c < 3; ++c) {
      std::array<double, 3> unit{};
      unit[c] = 1;
      const std::array<double, 3> moved = normalised(mode, unit);
      double slope = 0;
      for (size_t k = 0; k < 3; ++k) slope += (moved[k] - zero[k]) * input[i + k];
      want.push_back(slope);
    }
  }
  const auto channels = static_cast<size_t>(layout.channels);
  std::vector<float> padded(static_cast<size_t>(shape.rows()) * channels, kNan);
  for (size_t i = 0; i < input.size(); ++i) padded[i / 3 * channels + i % 3] = input[i];
  const Shifted<T> dz(padded, layout.shift);
  Shifted<float> dx(shape.count(), kNan, layout.shift);
  op(exec, {shape, dz.data(), mode, dx.data(), layout.channels});
  if (!dx.intact() || !dz.intact()) return detail::failed("wrote outside its output");
  return compare(dx.span(), want, tolerance(OpClass::kElementwise, 1, 0.0));
}
Comparison check_backward(const BackwardOperation& op, const Exec& exec, const Nhwc& shape,
                          PixelScale mode) {
  return check_backward_as<float>(op, exec, shape, mode, {});
}

TEST_CASE("image operations agree with their oracles in all modes and shapes") {
  for_each_device([](const Exec& exec) {
    for (const Nhwc& shape : kShapes) {
      INFO("shape ", shape.n, " ", shape.h, " ", shape.w);
      for (const bool flipped : {false, true}) {
        expect_ok("pixels_to_unit", check_unit(kernels::pixels_to_unit, exec, shape, flipped));
      }
      for (const PixelScale mode : kModes) {
        INFO("mode ", name(mode));
        expect_ok("normalise", check_normalise(kernels::normalise<>, exec, shape, mode));
        for (const bool flipped : {false, true}) {
          expect_ok("normalise_pixels",
                    check_pixels(kernels::normalise_pixels<>, exec, shape, mode, flipped));
        }
        expect_ok("normalise_backward",
                  check_backward(kernels::normalise_backward<>, exec, shape, mode));
      }
    }
  });
}

TEST_CASE("padded channels, 16-bit storage and unaligned tensors") {
  // Widths that four divides and others; fewer pixels than a thread takes, and more than a block.
  const std::vector<Nhwc> shapes{{1, 1, 1, 3},  {1, 2, 7, 3},  {2, 3, 8, 3},
                                 {3, 9, 33, 3}, {2, 5, 36, 3}, {1, 1, 1029, 3}};
  for_each_device_and_storage([&]<typename T>(const Exec& exec, T) {
    for (const Nhwc& shape : shapes) {
      for (const Layout layout :
           {Layout{3, 0}, Layout{3, 1}, Layout{4, 0}, Layout{4, 1}, Layout{8, 0}, Layout{8, 1}}) {
        for (const PixelScale mode : kModes) {
          INFO("shape ", shape.n, " ", shape.h, " ", shape.w, ", mode ", name(mode), ", channels ",
               layout.channels, ", shift ", layout.shift);
          expect_ok("normalise",
                    check_normalise_as<T>(kernels::normalise<T>, exec, shape, mode, layout));
          for (const bool flipped : {false, true}) {
            expect_ok("pixels", check_pixels_as<T>(kernels::normalise_pixels<T>, exec, shape, mode,
                                                   flipped, layout));
          }
          expect_ok("backward", check_backward_as<T>(kernels::normalise_backward<T>, exec, shape,
                                                     mode, layout));
        }
        expect_ok("unit", check_unit(kernels::pixels_to_unit, exec, shape, true, layout.shift));
      }
    }
  });
}

TEST_CASE("padded channels: planted faults are caught") {
  const Exec exec = kernels::make_exec(kernels::DeviceKind::kCpu, 1);
  const Nhwc shape{2, 3, 5, 3};
  const Layout layout{4, 0};
  const auto caught = [&](const char* fault, const NormaliseOf<float>& op) {
    expect_caught(fault, check_normalise_as<float>(op, exec, shape, PixelScale::kTorch, layout));
  };
  caught("padding left as it was", [](const Exec& e, const Normalise& a) {
    const std::vector<float> before(a.z, a.z + a.shape.rows() * 4);
    kernels::normalise(e, a);
    for (size_t i = 3; i < before.size(); i += 4) a.z[i] = before[i];
  });
  caught("one padding not zero", [](const Exec& e, const Normalise& a) {
    kernels::normalise(e, a);
    a.z[7] = 1e-30f;
  });
  caught("not padded", [](const Exec& e, Normalise a) {
    a.channels = 3;
    kernels::normalise(e, a);
  });
  const auto reads_padding = [](const Exec& e, const NormaliseBackward& a) {
    kernels::normalise_backward(e, a);
    a.dx[5] += a.dz[7];
  };
  expect_caught("padding read",
                check_backward_as<float>(reads_padding, exec, shape, PixelScale::kTorch, layout));
  for_each_device([&](const Exec& e) {
    const Nhwc none{1, 1, 1, 3};
    CHECK_THROWS_AS(kernels::normalise(e, {none, nullptr, PixelScale::kTf, nullptr, 5}), Error);
    CHECK_THROWS_AS(kernels::normalise_backward(e, {none, nullptr, PixelScale::kTf, nullptr, 2}),
                    Error);
  });
}

std::vector<float> input_of(const Exec& exec, const Nhwc& shape, const std::vector<uint8_t>& x,
                            const std::vector<uint8_t>& flip, PixelScale mode) {
  const Guarded<uint8_t> from(x), mirrored(flip);
  Guarded<float> z(shape.count(), kNan);
  kernels::normalise_pixels(
      exec, {shape, from.data(), flip.empty() ? nullptr : mirrored.data(), mode, z.data()});
  return z.copy();
}

TEST_CASE("the four modes: an orange pixel by hand") {
  for_each_device([](const Exec& exec) {
    const std::vector<uint8_t> orange{255, 128, 0};  // R, G, B
    const Nhwc one{1, 1, 1, 3};
    const auto check_values = [&](PixelScale mode, const std::vector<double>& want) {
      expect_ok(name(mode), compare(input_of(exec, one, orange, {}, mode), want,
                                    tolerance(OpClass::kElementwise, 1, magnitude(mode)), 0.3));
    };
    check_values(PixelScale::kCaffe, {-103.939, 11.221, 131.32});  // B, G, R
    check_values(PixelScale::kTorch, {2.24890829694323, 0.20518207282913, -1.80444444444444});
    check_values(PixelScale::kTf, {1.0, 0.00392156862745, -1.0});
    check_values(PixelScale::kUnit, {1.0, 0.50196078431373, 0.0});
  });
}

TEST_CASE("flip mirrors left and right, keeps rows and the order of channels") {
  for_each_device([](const Exec& exec) {
    // Two images of 2 x 2; a pixel is (10 * place, +1, +2).
    const Nhwc shape{2, 2, 2, 3};
    const Guarded<uint8_t> x(std::vector<uint8_t>{10, 11, 12, 20, 21, 22, 30, 31, 32, 40, 41, 42,
                                                  50, 51, 52, 60, 61, 62, 70, 71, 72, 80, 81, 82});
    const std::vector<uint8_t> want{10, 11, 12, 20, 21, 22, 30, 31, 32, 40, 41, 42,
                                    60, 61, 62, 50, 51, 52, 80, 81, 82, 70, 71, 72};
    Guarded<float> y(24);
    const Guarded<uint8_t> flip(std::vector<uint8_t>{0, 1});
    kernels::pixels_to_unit(exec, {shape, x.data(), flip.data(), y.data()});
    for (size_t i = 0; i < 24; ++i) CHECK(y[i] == static_cast<float>(want[i]) / 255.0f);
  });
}

TEST_CASE("normalise_pixels equals normalise of pixels_to_unit in every bit, for all 256 values") {
  const Nhwc shape{2, 4, 256, 3};
  std::vector<uint8_t> x(static_cast<size_t>(shape.count()));
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<uint8_t>((i / 3 + 85 * (i % 3)) & 255);
  const std::vector<uint8_t> flip{1, 0};
  const Exec reference = kernels::make_exec(kernels::DeviceKind::kReference);
  for_each_device([&](const Exec& exec) {
    for (const PixelScale mode : kModes) {
      INFO("mode ", name(mode));
      const Guarded<uint8_t> from(x), mirrored(flip);
      Guarded<float> unit(shape.count()), two_steps(shape.count());
      kernels::pixels_to_unit(exec, {shape, from.data(), mirrored.data(), unit.data()});
      kernels::normalise(exec, {shape, unit.data(), mode, two_steps.data()});
      const std::vector<float> one_step = input_of(exec, shape, x, flip, mode);
      expect_ok("one pass", compare_bits(one_step, two_steps));
      expect_ok("devices", compare_bits(one_step, input_of(reference, shape, x, flip, mode)));
    }
  });
}

TEST_CASE("normalise and its gradient work in place; threads change nothing") {
  const Nhwc shape{3, 50, 37, 3};
  const std::vector<float> x = uniform(shape.count(), 44, 0.0f, 1.0f);
  for (const PixelScale mode : kModes) {
    std::vector<float> z(x.size()), dx(x.size());
    const Exec one = kernels::make_exec(kernels::DeviceKind::kCpu, 1);
    kernels::normalise(one, {shape, x.data(), mode, z.data()});
    kernels::normalise_backward(one, {shape, x.data(), mode, dx.data()});
    for_each_device([&](const Exec& exec) {
      Guarded<float> copy(x);
      kernels::normalise(exec, {shape, copy.data(), mode, copy.data()});
      expect_ok("normalise", compare_bits(copy, z));
      Guarded<float> gradient(x);
      kernels::normalise_backward(exec, {shape, gradient.data(), mode, gradient.data()});
      expect_ok("normalise_backward", compare_bits(gradient, dx));
    });
  }
}

TEST_CASE("normalise_backward: finite differences of the float formula's double twin") {
  const Nhwc shape{1, 2, 3, 3};
  const std::vector<float> x = uniform(18, 45, 0.0f, 1.0f), weights = uniform(18, 46);
  for (const PixelScale mode : kModes) {
    const auto f = [&](const std::vector<double>& values) {
      const std::vector<double> z = normalise_oracle(mode, values);
      double sum = 0.0;
      for (size_t i = 0; i < 18; ++i) sum += weights[i] * z[i];
      return sum;
    };
    for_each_device([&](const Exec& exec) {
      const Guarded<float> dz(weights);
      Guarded<float> gradient(18);
      kernels::normalise_backward(exec, {shape, dz.data(), mode, gradient.data()});
      const std::vector<float> dx = gradient.copy();
      GradientOptions options;
      options.tolerance = tolerance(OpClass::kFiniteDifference, 1, 1.0);
      expect_ok("gradient", check_gradient(f, widen(x), dx, options));
    });
  }
}

TEST_CASE("pictures without three channels are refused, empty batches are not") {
  for_each_device([](const Exec& exec) {
    const Nhwc grey{1, 1, 1, 1};
    CHECK_THROWS_AS(kernels::pixels_to_unit(exec, {grey}), Error);
    CHECK_THROWS_AS(kernels::normalise(exec, {grey}), Error);
    CHECK_THROWS_AS(kernels::normalise_pixels(exec, {grey}), Error);
    CHECK_THROWS_AS(kernels::normalise_backward(exec, {grey}), Error);
    const Nhwc none{0, 4, 4, 3};
    kernels::pixels_to_unit(exec, {none});
    kernels::normalise(exec, {none});
    kernels::normalise_pixels(exec, {none});
    kernels::normalise_backward(exec, {none});
  });
}

// Exchanges first and last channel of every pixel.
void swap_channels(const Nhwc& shape, float* values) {
  for (int64_t i = 0; i < shape.rows(); ++i) std::swap(values[3 * i], values[3 * i + 2]);
}

TEST_CASE("pixels_to_unit: planted faults are caught") {
  const Exec exec = kernels::make_exec(kernels::DeviceKind::kCpu, 1);
  const Nhwc shape{3, 17, 33, 3};
  const auto caught = [&](const char* fault, const UnitOperation& op) {
    expect_caught(fault, check_unit(op, exec, shape, true));
  };
  const auto read_from =
      [](const std::function<int64_t(const Nhwc&, int64_t, int64_t, int64_t, int64_t)>& place) {
        return [place](const Exec&, const PixelsToUnit& a) {
          float* y = a.y;
          for (int64_t n = 0; n < a.shape.n; ++n)
            for (int64_t h = 0; h < a.shape.h; ++h)
              for (int64_t w = 0; w < a.shape.w; ++w)
                for (int64_t c = 0; c < 3; ++c) {
                  const int64_t from = a.flip[n] ? place(a.shape, n, h, w, c)
                                                 : ((n * a.shape.h + h) * a.shape.w + w) * 3 + c;
                  *y++ = static_cast<float>(a.x[from]) / 255.0f;
                }
        };
      };
  CHECK(check_unit(read_from([](const Nhwc& s, auto n, auto h, auto w, auto c) {
                     return ((n * s.h + h) * s.w + s.w - 1 - w) * 3 + c;
                   }),
                   exec, shape, true)
            .ok);
  caught("flip ignored", read_from([](const Nhwc& s, auto n, auto h, auto w, auto c) {
           return ((n * s.h + h) * s.w + w) * 3 + c;
         }));
  caught("flips vertically", read_from([](const Nhwc& s, auto n, auto h, auto w, auto c) {
           return ((n * s.h + s.h - 1 - h) * s.w + w) * 3 + c;
         }));
  caught("turned by 180 degrees", read_from([](const Nhwc& s, auto n, auto h, auto w, auto c) {
           return ((n * s.h + s.h - 1 - h) * s.w + s.w - 1 - w) * 3 + c;
         }));
  caught("row reversed with its channels",
         read_from([](const Nhwc& s, auto n, auto h, auto w, auto c) {
           return ((n * s.h + h) * s.w + s.w - 1 - w) * 3 + 2 - c;
         }));
  caught("mirrored one column off", read_from([](const Nhwc& s, auto n, auto h, auto w, auto c) {
           return ((n * s.h + h) * s.w + (s.w - w) % s.w) * 3 + c;
         }));
  caught("all images flipped", [](const Exec& e, PixelsToUnit a) {
    const std::vector<uint8_t> all(static_cast<size_t>(a.shape.n), 1);
    a.flip = all.data();
    kernels::pixels_to_unit(e, a);
  });
  const auto value = [](const std::function<float(float)>& f) {
    return [f](const Exec& e, const PixelsToUnit& a) {
      kernels::pixels_to_unit(e, a);
      for (int64_t i = 0; i < a.shape.count(); ++i) a.y[i] = f(a.y[i]);
    };
  };
  caught("divided by 256", value([](float v) { return v * 255.0f / 256.0f; }));
  caught("times 1/255",
         value([](float v) { return std::nearbyint(v * 255.0f) * (1.0f / 255.0f); }));
  caught("zeros", value([](float) { return 0.0f; }));
  caught("NaN", value([](float) { return kNan; }));
  caught("swapped channels", [](const Exec& e, const PixelsToUnit& a) {
    kernels::pixels_to_unit(e, a);
    swap_channels(a.shape, a.y);
  });
}

TEST_CASE("normalise, normalise_pixels and the gradient: planted faults are caught") {
  const Exec exec = kernels::make_exec(kernels::DeviceKind::kCpu, 1);
  const Nhwc shape{3, 17, 33, 3};
  // Each fault spoils the result of the correct operation; it is tried on all three.
  const auto caught = [&](const char* fault, PixelScale mode,
                          const std::function<void(float*)>& spoil) {
    INFO("mode ", name(mode));
    const auto spoiled_forward = [&](const Exec& e, const Normalise& a) {
      kernels::normalise(e, a);
      spoil(a.z);
    };
    const auto spoiled_pixels = [&](const Exec& e, const NormalisePixels& a) {
      kernels::normalise_pixels(e, a);
      spoil(a.z);
    };
    const auto spoiled_backward = [&](const Exec& e, const NormaliseBackward& a) {
      kernels::normalise_backward(e, a);
      spoil(a.dx);
    };
    expect_caught(fault, check_normalise(spoiled_forward, exec, shape, mode));
    expect_caught(fault, check_pixels(spoiled_pixels, exec, shape, mode, true));
    expect_caught(fault, check_backward(spoiled_backward, exec, shape, mode));
  };
  const auto each = [&](const std::function<float(float, int64_t)>& f) {
    return [&shape, f](float* z) {
      for (int64_t i = 0; i < shape.count(); ++i) z[i] = f(z[i], i % 3);
    };
  };
  for (const PixelScale mode : kModes) {
    caught("swapped channels", mode, [&](float* z) { swap_channels(shape, z); });
    caught("scaled by 1.0001", mode, each([](float z, int64_t) { return z * 1.0001f; }));
    caught("one channel scaled by 255/256", mode,
           each([](float z, int64_t c) { return c == 1 ? z * 255.0f / 256.0f : z; }));
    caught("zeros", mode, each([](float, int64_t) { return 0.0f; }));
    caught("one NaN", mode, [&](float* z) { z[shape.count() - 1] = kNan; });
    caught("last element not written", mode, [&](float* z) { z[shape.count() - 1] = 777.0f; });
    caught("one element too many", mode, [&](float* z) { z[shape.count()] = 0.0f; });
    for (const PixelScale other : kModes) {
      if (other == mode) continue;
      expect_caught("another mode", check_normalise(
                                        [&](const Exec& e, Normalise a) {
                                          a.mode = other;
                                          kernels::normalise(e, a);
                                        },
                                        exec, shape, mode));
      // The means do not enter it.
      if (magnitude(mode) == 255.0 && magnitude(other) == 255.0) continue;
      expect_caught("another mode's gradient", check_backward(
                                                   [&](const Exec& e, NormaliseBackward a) {
                                                     a.mode = other;
                                                     kernels::normalise_backward(e, a);
                                                   },
                                                   exec, shape, mode));
    }
  }
  const auto caught_forward = [&](const char* fault, PixelScale mode,
                                  const std::function<float(float, int64_t)>& f) {
    expect_caught(fault, check_normalise(
                             [&](const Exec& e, const Normalise& a) {
                               kernels::normalise(e, a);
                               each(f)(a.z);
                             },
                             exec, shape, mode));
  };
  constexpr float kBgr[] = {103.939f, 116.779f, 123.68f};
  caught_forward("means in RGB order", PixelScale::kCaffe,
                 [&](float z, int64_t c) { return z + kBgr[c] - kBgr[2 - c]; });
  caught_forward("no mean", PixelScale::kCaffe, [&](float z, int64_t c) { return z + kBgr[c]; });
  constexpr float kStd[] = {0.229f, 0.224f, 0.225f};
  caught_forward("not divided by the deviation", PixelScale::kTorch,
                 [&](float z, int64_t c) { return z * kStd[c]; });
  caught_forward("no shift", PixelScale::kTf, [](float z, int64_t) { return z + 1.0f; });
  const auto ignores_flip = [](const Exec& e, NormalisePixels a) {
    a.flip = nullptr;
    kernels::normalise_pixels(e, a);
  };
  for (const PixelScale mode : kModes) {
    expect_caught("flip ignored", check_pixels(ignores_flip, exec, shape, mode, true));
  }
}

}  // namespace
}  // namespace verace::test::image_test
