// Element-wise operations on the CPU.
#include "kernels/activation.h"

#include <algorithm>
#include <memory>

#include "kernels/check.h"
#include "kernels/parallel.h"
#include "kernels/row_sums.h"
#include "kernels/scalar_math.h"

namespace verace::kernels::cpu {
namespace {

// `omp simd` in all loops: outputs may be their own inputs, which is harmless element by element,
// but which the compiler could only find out with run-time checks that then choose the scalar loop.
template <bool kFork>
void leaky_relu_backward_range(const LeakyReluBackward& args, int64_t begin, int64_t end) {
  const float *y = args.y, *dy = args.dy, *dy2 = args.dy2;
  float* dx = args.dx;
  const float slope = args.slope;
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    float gradient = dy[i];
    if constexpr (kFork) gradient += dy2[i];
    dx[i] = gradient * leaky_relu_slope(y[i], slope);
  }
}

template <bool kRelu>
void add_range(const Add& args, int64_t begin, int64_t end) {
  const float *a = args.a, *b = args.b;
  float* y = args.y;
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    const float sum = a[i] + b[i];
    y[i] = kRelu ? leaky_relu(sum, 0.0f) : sum;
  }
}

constexpr int64_t kMinPieceRows = 64;  // rows per partial sum of the bias gradient, at least

// sums[c] += the sum of kRows rows. What comes later is prefetched in small portions: the hardware
// alone loses the stream while the sums are read in between.
template <int kRows>
void add_rows(const float* dy, int64_t c, double* sums) {
  for (int64_t begin = 0; begin < c; begin += kChunk) {
    const int64_t end = std::min(begin + kChunk, c);
    const float* ahead = dy + kRows * begin + kAhead;
    for (int64_t j = 0; j < kRows * (end - begin); j += kLine) __builtin_prefetch(ahead + j, 0, 2);
#pragma omp simd
    for (int64_t j = begin; j < end; ++j) {
      float sum = 0.0f;
      for (int r = 0; r < kRows; ++r) sum += dy[r * c + j];
      sums[j] += static_cast<double>(sum);
    }
  }
}

}  // namespace

void leaky_relu_forward(const Exec& exec, const LeakyReluForward& args) {
  VERACE_CHECK(args.count >= 0 && args.slope >= 0.0f && args.slope < 1.0f);
  parallel_ranges(exec, args.count, kElementGrain, [&](int64_t begin, int64_t end) {
    const float* x = args.x;
    float* y = args.y;
    const float slope = args.slope;
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) y[i] = leaky_relu(x[i], slope);
  });
}

void leaky_relu_backward(const Exec& exec, const LeakyReluBackward& args) {
  VERACE_CHECK(args.count >= 0 && args.slope >= 0.0f && args.slope < 1.0f);
  parallel_ranges(exec, args.count, kElementGrain, [&](int64_t begin, int64_t end) {
    if (args.dy2 != nullptr) {
      leaky_relu_backward_range<true>(args, begin, end);
    } else {
      leaky_relu_backward_range<false>(args, begin, end);
    }
  });
}

void add(const Exec& exec, const Add& args) {
  VERACE_CHECK(args.count >= 0);
  parallel_ranges(exec, args.count, kElementGrain, [&](int64_t begin, int64_t end) {
    args.relu ? add_range<true>(args, begin, end) : add_range<false>(args, begin, end);
  });
}

void bias_add(const Exec& exec, const BiasAdd& args) {
  VERACE_CHECK(args.rows >= 0 && args.c > 0 && args.slope >= 0.0f && args.slope <= 1.0f);
  const int64_t c = args.c;
  const int64_t grain = std::max<int64_t>(1, kElementGrain / c);
  parallel_ranges(exec, args.rows, grain, [&](int64_t begin, int64_t end) {
    const float *x = args.x, *bias = args.bias;
    float* y = args.y;
    const float slope = args.slope;
    for (int64_t row = begin; row < end; ++row) {
#pragma omp simd
      for (int64_t j = 0; j < c; ++j) y[row * c + j] = leaky_relu(x[row * c + j] + bias[j], slope);
    }
  });
}

void bias_gradient(const Exec& exec, const BiasGradient& args) {
  VERACE_CHECK(args.rows > 0 && args.c > 0);
  if (args.mode == GradMode::kSkip) return;
  const int64_t c = args.c;
  // The pieces depend on the number of rows alone; each is summed in double, then all in order.
  const int64_t grain = std::max(kMinPieceRows, (args.rows + kMaxPieces - 1) / kMaxPieces);
  const int64_t pieces = (args.rows + grain - 1) / grain;
  const auto partial = std::make_unique<double[]>(static_cast<size_t>(pieces * c));
  parallel_ranges(exec, args.rows, grain, [&](int64_t begin, int64_t end) {
    double* sums = partial.get() + begin / grain * c;
    int64_t row = begin;
    for (; row + 4 <= end; row += 4) add_rows<4>(args.dy + row * c, c, sums);
    for (; row < end; ++row) add_rows<1>(args.dy + row * c, c, sums);
  });
  for (int64_t j = 0; j < c; ++j) {
    double sum = 0.0;
    for (int64_t p = 0; p < pieces; ++p) sum += partial[static_cast<size_t>(p * c + j)];
    const float value = static_cast<float>(sum);
    args.db[j] = args.mode == GradMode::kAccumulate ? args.db[j] + value : value;
  }
}

}  // namespace verace::kernels::cpu
