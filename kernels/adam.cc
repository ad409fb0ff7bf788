// Adam on the CPU: all tensors as one long row of elements, cut into pieces for the threads.
#include "kernels/adam.h"

#include <algorithm>

#include "kernels/check.h"
#include "kernels/parallel.h"

namespace verace::kernels::cpu {
namespace {

// What holds for all elements of a step.
struct Common {
  AdamFactors factors;
  float inverse_scale;
};

// `omp simd`: the arrays are distinct, so the loop becomes vector code without run-time overlap
// tests. Square root and division stay exactly rounded, so a vector's lane and the scalar tail
// agree.
template <typename T>
void update(const Common& common, const AdamTensor& tensor, const T* g, int64_t begin,
            int64_t end) {
  const AdamFactors f = common.factors;
  const float inverse = common.inverse_scale;
  float* w = tensor.w;
  float* m = tensor.m;
  float* v = tensor.v;
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    float mi = m[i], vi = v[i];
    w[i] = adam_update(f, w[i], to_float(g[i]) * inverse, mi, vi);
    m[i] = mi;
    v[i] = vi;
  }
}

template <typename T>
void copy_range(const float* w, T* copy, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) copy[i] = from_float<T>(w[i]);
}

void update_and_copy(const Common& common, const AdamTensor& tensor, int64_t begin, int64_t end) {
  with_type(tensor.g, [&](const auto* g) { update(common, tensor, g, begin, end); });
  if (tensor.copy.data() == nullptr) return;
  with_type(tensor.copy, [&](auto* copy) { copy_range(tensor.w, copy, begin, end); });
}

}  // namespace

void adam_step(const Exec& exec, const AdamStep& args) {
  if (args.skip != nullptr && *args.skip != 0) return;
  const Common common{args.live_factors != nullptr ? *args.live_factors : args.factors,
                      args.gradient_scale != nullptr ? 1.0f / *args.gradient_scale : 1.0f};
  int64_t total = 0;
  for (const AdamTensor& tensor : args.tensors) {
    VERACE_CHECK(tensor.count >= 0);
    total += tensor.count;
  }
  // A network has many tiny tensors (biases) and few large ones: pieces of the concatenation
  // balance the threads where pieces per tensor would not. Finding a piece's tensors is a walk over
  // a few hundred counts, nothing beside its 16384 elements.
  parallel_ranges(exec, total, kElementGrain, [&](int64_t begin, int64_t end) {
    int64_t offset = 0;
    for (const AdamTensor& tensor : args.tensors) {
      if (offset >= end) break;
      const int64_t from = std::max(begin - offset, int64_t{0});
      const int64_t to = std::min(end - offset, tensor.count);
      if (from < to) update_and_copy(common, tensor, from, to);
      offset += tensor.count;
    }
  });
}

void adam_advance(const Exec&, const AdamAdvance& args) { advance(args); }

}  // namespace verace::kernels::cpu
