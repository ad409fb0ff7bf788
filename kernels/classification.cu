// Counting what a classifier got right, on CUDA devices: one block, a warp per sample.
#include "kernels/classification.h"

#include "kernels/check.h"
#include "kernels/simt/launch.h"
#include "kernels/simt/reductions.h"

namespace verace::kernels::cuda {
namespace {

constexpr int kThreads = 512;
constexpr int kWarps = kThreads / 32;

// The class with the largest score, the first of equals, or -1 if one is NaN; in every lane.
__device__ inline int64_t predicted_class(const float* scores, int64_t classes, int lane) {
  float largest = -INFINITY;
  int64_t best = classes;
  bool is_number = true;
  for (int64_t j = lane; j < classes; j += 32) {
    const float score = scores[j];
    is_number = is_number && score == score;
    if (best == classes || score > largest) {
      largest = score;
      best = j;
    }
  }
#pragma unroll
  for (int other = 16; other > 0; other /= 2) {
    const float its_largest = __shfl_xor_sync(simt::kWholeWarp, largest, other);
    const int64_t its_best = __shfl_xor_sync(simt::kWholeWarp, best, other);
    const bool better = its_largest > largest || (its_largest == largest && its_best < best);
    largest = better ? its_largest : largest;
    best = better ? its_best : best;
  }
  return __all_sync(simt::kWholeWarp, is_number) ? best : -1;
}

// A launch of one block needs no counters that somebody clears before it, and no scratch.
__global__ void __launch_bounds__(kThreads) counts_kernel(const ClassificationCounts a) {
  __shared__ int64_t shared[kWarps];
  const int lane = static_cast<int>(threadIdx.x % 32);
  int64_t correct = 0;
  int64_t cells[4] = {};
  for (int64_t i = threadIdx.x / 32; i < a.n; i += kWarps) {
    const int64_t predicted = predicted_class(a.scores + i * a.classes, a.classes, lane);
    const int64_t label = a.labels[i];
    const bool counts = lane == 0 && predicted >= 0 && label >= 0 && label < a.classes;
    correct += counts && predicted == label ? 1 : 0;
#pragma unroll
    for (int cell = 0; cell < 4; ++cell) {
      cells[cell] += counts && label * 2 + predicted == cell ? 1 : 0;
    }
  }
  correct = simt::block_sum<kThreads>(correct, shared);
  if (threadIdx.x == 0) *a.correct = correct;
  if (a.confusion != nullptr) {  // for all threads alike
#pragma unroll
    for (int cell = 0; cell < 4; ++cell) {
      const int64_t count = simt::block_sum<kThreads>(cells[cell], shared);
      if (threadIdx.x == 0) a.confusion[cell] = count;
    }
  }
}

}  // namespace

void classification_counts(const Exec& exec, const ClassificationCounts& a) {
  VERACE_CHECK(a.n >= 0 && a.classes > 0 && a.correct != nullptr);
  VERACE_CHECK(a.confusion == nullptr || a.classes == 2);
  simt::launch(counts_kernel, {1, kThreads, 0, exec.stream}, a);
}

}  // namespace verace::kernels::cuda
