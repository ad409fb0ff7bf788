// Adam on the CPU: all tensors as one long row of elements, cut into pieces for the threads.
#include "kernels/adam.h"

#include <algorithm>

#include "kernels/check.h"
#include "kernels/parallel.h"

namespace verace::kernels::cpu {
namespace {

// `omp simd`: the four arrays are distinct, so the loop becomes vector code without run-time
// overlap tests. Square root and division stay exactly rounded, so a vector's lane and the scalar
// tail agree.
void update(const AdamFactors& factors, const AdamTensor& tensor, int64_t begin, int64_t end) {
  const AdamFactors f = factors;
  float* w = tensor.w;
  const float* g = tensor.g;
  float* m = tensor.m;
  float* v = tensor.v;
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    float mi = m[i], vi = v[i];
    w[i] = adam_update(f, w[i], g[i], mi, vi);
    m[i] = mi;
    v[i] = vi;
  }
}

}  // namespace

void adam_step(const Exec& exec, const AdamStep& args) {
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
      if (from < to) update(args.factors, tensor, from, to);
      offset += tensor.count;
    }
  });
}

}  // namespace verace::kernels::cpu
