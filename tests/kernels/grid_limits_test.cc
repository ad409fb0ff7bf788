// Operations with more work than the largest grid that they launch: threads go round their loops.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/activation.h"
#include "kernels/image.h"
#include "kernels/softmax_cross_entropy.h"
#include "tests/support/devices.h"
#include "tests/support/guarded.h"

namespace verace::kernels::grid_limits_test {
namespace {

using test::Guarded;

// The caps are those of the launchers: 4224 blocks of element-wise kernels, 4096 and 16384 blocks
// of 8 rows. What matters is that the last elements are reached, each once: small integers, exact.
// One schedule is enough for that, and the sizes allow no more.
template <typename Body>
void on_cuda(const Body& body) {
  test::note_skipped_devices();
  if (test::cuda_is_present()) body(make_exec(DeviceKind::kCuda, 1));
}

std::vector<float> small_integers(int64_t count) {
  std::vector<float> x(static_cast<size_t>(count));
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 251);
  return x;
}

TEST_CASE("an element-wise kernel reaches what lies behind its largest grid") {
  on_cuda([](const Exec& exec) {
    const int64_t count = 4224 * 256 * 4 + 1029;  // another round, a tail of one
    const Guarded<float> x(small_integers(count));
    Guarded<float> y(count, -1.0f);
    add(exec, Add{count, x.data(), x.data(), false, y.data()});
    CHECK(y.intact());
    bool right = true;
    for (const float* p = x.data(); const float sum : y.span()) right = right && sum == 2 * *p++;
    CHECK(right);
  });
}

TEST_CASE("a bias is added to the rows behind the largest grid") {
  on_cuda([](const Exec& exec) {
    const int64_t rows = 4096 * 8 + 13;
    const Guarded<float> x(small_integers(rows)), bias(1, 3.0f);
    Guarded<float> y(rows, -1.0f);
    bias_add(exec, BiasAdd{rows, 1, x.data(), bias.data(), 1.0f, y.data()});
    CHECK(y.intact());
    bool right = true;
    for (const float* p = x.data(); const float sum : y.span()) right = right && sum == *p++ + 3;
    CHECK(right);
  });
}

TEST_CASE("pictures of more rows than the largest grid") {
  on_cuda([](const Exec& exec) {
    const Nhwc shape{2, 8192 * 8 + 7, 1, 3};
    const int64_t count = shape.n * shape.h * 3;
    std::vector<uint8_t> bytes(static_cast<size_t>(count));
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 7 % 251);
    const Guarded<uint8_t> x(bytes);
    Guarded<float> y(count, -1.0f);
    pixels_to_unit(exec, PixelsToUnit{shape, x.data(), nullptr, y.data()});
    CHECK(y.intact());
    bool right = true;
    for (const uint8_t* p = x.data(); const float unit : y.span()) {
      right = right && unit == static_cast<float>(*p++) / 255.0f;
    }
    CHECK(right);
  });
}

TEST_CASE("softmax of more rows than the largest grid") {
  on_cuda([](const Exec& exec) {
    const int64_t n = 4224 * 4 + 5;
    std::vector<float> logits(static_cast<size_t>(2 * n));
    for (size_t i = 0; i < logits.size(); i += 2) logits[i] = static_cast<float>(i % 7);
    const Guarded<float> x(logits);
    Guarded<float> p(2 * n, -1.0f);
    softmax_cross_entropy(
        exec,
        SoftmaxCrossEntropy{.n = n, .classes = 2, .logits = x.data(), .probabilities = p.data()});
    CHECK(p.intact());
    double worst = 0.0;
    for (size_t i = 0; i < logits.size(); i += 2) {
      const double want = 1.0 / (1.0 + std::exp(-static_cast<double>(logits[i])));
      const double got = static_cast<double>(p.data()[i]),
                   rest = static_cast<double>(p.data()[i + 1]);
      const double error = std::max(std::abs(got - want), std::abs(rest - (1.0 - want)));
      worst = error <= worst ? worst : error;  // a NaN is the worst
    }
    CHECK(worst < 1e-6);
  });
}

}  // namespace
}  // namespace verace::kernels::grid_limits_test
