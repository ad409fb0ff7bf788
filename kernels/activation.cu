// Element-wise operations on CUDA devices: 16 bytes per access where the pointers allow it; the
// bias gradient in two stages.
#include "kernels/activation.h"

#include "kernels/check.h"
#include "kernels/scalar_math.h"
#include "kernels/simt/launch.h"
#include "kernels/simt/vector_access.h"

namespace verace::kernels::cuda {
namespace {

using simt::kElementThreads;
using simt::vector_width;

// No __restrict__ on what may alias: each element is read before it is written by the same thread.
template <int kWidth, typename T>
__global__ void __launch_bounds__(kElementThreads)
    leaky_relu_forward_kernel(size_t count, const T* x, float slope, T* y) {
  simt::for_each_vector<kWidth>(count, [&](auto width, size_t i) {
    float v[decltype(width)::value];
    simt::load(x + i, v);
#pragma unroll
    for (float& element : v) element = leaky_relu(element, slope);
    simt::store(y + i, v);
  });
}

template <int kWidth, typename T>
__global__ void __launch_bounds__(kElementThreads)
    leaky_relu_backward_kernel(size_t count, const T* y, const T* dy, const T* dy2, float slope,
                               T* dx) {
  simt::for_each_vector<kWidth>(count, [&](auto width, size_t i) {
    constexpr int kCount = decltype(width)::value;
    float out[kCount], gradient[kCount];
    simt::load(y + i, out);
    simt::load(dy + i, gradient);
    if (dy2 != nullptr) {
      float second[kCount];
      simt::load(dy2 + i, second);
#pragma unroll
      for (int k = 0; k < kCount; ++k) gradient[k] += second[k];
    }
#pragma unroll
    for (int k = 0; k < kCount; ++k) gradient[k] *= leaky_relu_slope(out[k], slope);
    simt::store(dx + i, gradient);
  });
}

// slope 0: ReLU; slope 1: none (1 * x is x in every bit).
template <int kWidth, typename T>
__global__ void __launch_bounds__(kElementThreads)
    add_kernel(size_t count, const T* a, const T* b, float slope, T* y) {
  simt::for_each_vector<kWidth>(count, [&](auto width, size_t i) {
    constexpr int kCount = decltype(width)::value;
    float sum[kCount], other[kCount];
    simt::load(a + i, sum);
    simt::load(b + i, other);
#pragma unroll
    for (int k = 0; k < kCount; ++k) sum[k] = leaky_relu(sum[k] + other[k], slope);
    simt::store(y + i, sum);
  });
}

// Blocks of [rows, c]: kLanes threads side by side, each with kWidth neighbouring channels that it
// keeps, by kRowLanes rows.
constexpr unsigned kLanes = 32, kRowLanes = 8;

// c is a multiple of kWidth.
template <int kWidth, typename T>
__global__ void __launch_bounds__(kLanes* kRowLanes)
    bias_add_kernel(size_t rows, size_t c, const T* x, const float* __restrict__ bias, float slope,
                    T* y) {
  const size_t column = (static_cast<size_t>(blockIdx.x) * kLanes + threadIdx.x) * kWidth;
  if (column >= c) return;
  float b[kWidth];
#pragma unroll
  for (int k = 0; k < kWidth; ++k) b[k] = bias[column + k];
  const size_t stride = static_cast<size_t>(gridDim.y) * kRowLanes;
  for (size_t row = static_cast<size_t>(blockIdx.y) * kRowLanes + threadIdx.y; row < rows;
       row += stride) {
    float v[kWidth];
    simt::load(x + row * c + column, v);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) v[k] = leaky_relu(v[k] + b[k], slope);
    simt::store(y + row * c + column, v);
  }
}

// Rows that a thread adds in float before it goes on in double.
constexpr int kFloatRows = 8;

// partial[piece, c] = sum over the piece's rows. The order depends on rows and piece alone, not on
// kWidth: row lane y takes rows y, y + 8, ... of the piece, then the lanes are added in order.
template <int kWidth, typename T>
__global__ void __launch_bounds__(kLanes* kRowLanes)
    bias_gradient_partial_kernel(size_t rows, size_t c, size_t piece_rows, const T* __restrict__ dy,
                                 double* __restrict__ partial) {
  // The padding keeps the warps' accesses to different banks, by rows as well as by channels.
  constexpr unsigned kPadding = 16 / kWidth;
  __shared__ double tile[kWidth][kRowLanes * kLanes + kPadding];
  const size_t column = (static_cast<size_t>(blockIdx.x) * kLanes + threadIdx.x) * kWidth;
  const size_t begin = blockIdx.y * piece_rows;
  const size_t end = begin + piece_rows < rows ? begin + piece_rows : rows;
  double total[kWidth] = {};
  if (column < c) {
    size_t row = begin + threadIdx.y;
    while (row < end) {
      float sum[kWidth] = {};
      for (int r = 0; r < kFloatRows && row < end; ++r, row += kRowLanes) {
        float v[kWidth];
        simt::load(dy + row * c + column, v);
#pragma unroll
        for (int k = 0; k < kWidth; ++k) sum[k] += v[k];
      }
#pragma unroll
      for (int k = 0; k < kWidth; ++k) total[k] += static_cast<double>(sum[k]);
    }
  }
#pragma unroll
  for (int k = 0; k < kWidth; ++k) tile[k][threadIdx.y * kLanes + threadIdx.x] = total[k];
  __syncthreads();
  const size_t first = static_cast<size_t>(blockIdx.x) * kLanes * kWidth;
  for (unsigned j = threadIdx.y * kLanes + threadIdx.x; j < kLanes * kWidth;
       j += kLanes * kRowLanes) {
    if (first + j >= c) continue;
    double sum = 0.0;
#pragma unroll
    for (unsigned lane = 0; lane < kRowLanes; ++lane) {
      sum += tile[j % kWidth][lane * kLanes + j / kWidth];
    }
    partial[blockIdx.y * c + first + j] = sum;
  }
}

// db[c] = (db +) sum over pieces: row lane y takes pieces y, y + 8, ..., then the lanes in order.
__global__ void __launch_bounds__(kLanes* kRowLanes)
    bias_gradient_total_kernel(size_t pieces, size_t c, const double* __restrict__ partial,
                               bool accumulate, float* __restrict__ db) {
  __shared__ double tile[kRowLanes][kLanes];
  const size_t column = static_cast<size_t>(blockIdx.x) * kLanes + threadIdx.x;
  double sum = 0.0;
  if (column < c) {
    for (size_t piece = threadIdx.y; piece < pieces; piece += kRowLanes) {
      sum += partial[piece * c + column];
    }
  }
  tile[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || column >= c) return;
  double total = 0.0;
#pragma unroll
  for (unsigned lane = 0; lane < kRowLanes; ++lane) total += tile[lane][threadIdx.x];
  const float value = static_cast<float>(total);
  db[column] = accumulate ? db[column] + value : value;
}

// The widest vectors that divide the rows and still occupy the lanes of a block.
template <typename T>
int row_width(int64_t c, bool aligned) {
  int width = aligned ? vector_width<T> : 1;
  while (width > 1 && (c % width != 0 || c < width * static_cast<int64_t>(kLanes))) width /= 2;
  return width;
}

// Calls body(Width<n>{}) for the n = 1, 2, 4 or 8 that `width` says; of T, at most 16 bytes.
template <typename T, typename Body>
void with_width(int width, const Body& body) {
  if (width == 1) return body(simt::Width<1>{});
  if (width == 2) return body(simt::Width<2>{});
  if (width == 4) return body(simt::Width<4>{});
  if constexpr (vector_width<T> == 8) return body(simt::Width<8>{});
}

}  // namespace

template <typename T>
void leaky_relu_forward(const Exec& exec, const LeakyReluForwardOf<T>& a) {
  VERACE_CHECK(a.count >= 0 && a.slope >= 0.0f && a.slope < 1.0f);
  if (a.count == 0) return;
  const auto kernel = simt::is_vector_aligned(a.x, a.y)
                          ? leaky_relu_forward_kernel<vector_width<T>, T>
                          : leaky_relu_forward_kernel<1, T>;
  simt::launch(kernel, simt::element_wise<vector_width<T>>(a.count, exec.stream),
               static_cast<size_t>(a.count), a.x, a.slope, a.y);
}

template <typename T>
void leaky_relu_backward(const Exec& exec, const LeakyReluBackwardOf<T>& a) {
  VERACE_CHECK(a.count >= 0 && a.slope >= 0.0f && a.slope < 1.0f);
  if (a.count == 0) return;
  const auto kernel = simt::is_vector_aligned(a.y, a.dy, a.dy2, a.dx)
                          ? leaky_relu_backward_kernel<vector_width<T>, T>
                          : leaky_relu_backward_kernel<1, T>;
  simt::launch(kernel, simt::element_wise<vector_width<T>>(a.count, exec.stream),
               static_cast<size_t>(a.count), a.y, a.dy, a.dy2, a.slope, a.dx);
}

template <typename T>
void add(const Exec& exec, const AddOf<T>& a) {
  VERACE_CHECK(a.count >= 0);
  if (a.count == 0) return;
  const auto kernel =
      simt::is_vector_aligned(a.a, a.b, a.y) ? add_kernel<vector_width<T>, T> : add_kernel<1, T>;
  simt::launch(kernel, simt::element_wise<vector_width<T>>(a.count, exec.stream),
               static_cast<size_t>(a.count), a.a, a.b, a.relu ? 0.0f : 1.0f, a.y);
}

template <typename T>
void bias_add(const Exec& exec, const BiasAddOf<T>& a) {
  VERACE_CHECK(a.rows >= 0 && a.c > 0 && a.slope >= 0.0f && a.slope <= 1.0f);
  if (a.rows == 0) return;
  with_width<T>(row_width<T>(a.c, simt::is_vector_aligned(a.x, a.y)), [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    const dim3 grid(simt::blocks_for(a.c, kLanes * kWidth, 0x7fffffff),
                    simt::blocks_for(a.rows, kRowLanes));
    simt::launch(bias_add_kernel<kWidth, T>, {grid, dim3(kLanes, kRowLanes), 0, exec.stream},
                 static_cast<size_t>(a.rows), static_cast<size_t>(a.c), a.x, a.bias, a.slope, a.y);
  });
}

template <typename T>
void bias_gradient(const Exec& exec, const BiasGradientOf<T>& a) {
  VERACE_CHECK(a.rows > 0 && a.c > 0);
  if (a.mode == GradMode::kSkip) return;
  VERACE_CHECK(a.scratch != nullptr);
  const int64_t wanted = bias_gradient_pieces(a.rows, a.c);
  const int64_t piece_rows = (a.rows + wanted - 1) / wanted;
  const int64_t pieces = (a.rows + piece_rows - 1) / piece_rows;  // none of them empty
  with_width<T>(row_width<T>(a.c, simt::is_vector_aligned(a.dy)), [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    const dim3 grid(simt::blocks_for(a.c, kLanes * kWidth, 0x7fffffff),
                    static_cast<unsigned>(pieces));
    simt::launch(bias_gradient_partial_kernel<kWidth, T>,
                 {grid, dim3(kLanes, kRowLanes), 0, exec.stream}, static_cast<size_t>(a.rows),
                 static_cast<size_t>(a.c), static_cast<size_t>(piece_rows), a.dy, a.scratch);
  });
  simt::launch(bias_gradient_total_kernel,
               {simt::blocks_for(a.c, kLanes, 0x7fffffff), dim3(kLanes, kRowLanes), 0, exec.stream},
               static_cast<size_t>(pieces), static_cast<size_t>(a.c), a.scratch,
               a.mode == GradMode::kAccumulate, a.db);
}

template void leaky_relu_forward(const Exec&, const LeakyReluForwardOf<float>&);
template void leaky_relu_forward(const Exec&, const LeakyReluForwardOf<Half>&);
template void leaky_relu_forward(const Exec&, const LeakyReluForwardOf<BFloat16>&);
template void leaky_relu_backward(const Exec&, const LeakyReluBackwardOf<float>&);
template void leaky_relu_backward(const Exec&, const LeakyReluBackwardOf<Half>&);
template void leaky_relu_backward(const Exec&, const LeakyReluBackwardOf<BFloat16>&);
template void add(const Exec&, const AddOf<float>&);
template void add(const Exec&, const AddOf<Half>&);
template void add(const Exec&, const AddOf<BFloat16>&);
template void bias_add(const Exec&, const BiasAddOf<float>&);
template void bias_add(const Exec&, const BiasAddOf<Half>&);
template void bias_add(const Exec&, const BiasAddOf<BFloat16>&);
template void bias_gradient(const Exec&, const BiasGradientOf<float>&);
template void bias_gradient(const Exec&, const BiasGradientOf<Half>&);
template void bias_gradient(const Exec&, const BiasGradientOf<BFloat16>&);

}  // namespace verace::kernels::cuda
