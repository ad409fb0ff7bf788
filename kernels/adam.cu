// Adam on CUDA devices: all parameter tensors in one launch, each element read and written once.
#include "kernels/adam.h"

#include "kernels/check.h"
#include "kernels/simt/launch.h"
#include "kernels/simt/tensor_table.h"
#include "kernels/simt/vector_access.h"

namespace verace::kernels::cuda {
namespace {

using simt::kTableThreads;
using simt::TensorTable;

struct Entry {
  float* w;
  const void* g;
  float* m;
  float* v;
  void* copy;
  int64_t count;
  StorageType gradient_type, copy_type;
  bool vectors;
};

// What stands on the device, apart from the tensors; nullptr where there is none.
struct Live {
  const AdamFactors* factors;
  const float* gradient_scale;
  const uint32_t* skip;
};

// Five blocks per multiprocessor: enough loads under way to keep the memory busy.
template <int kTensors>
__global__ void __launch_bounds__(kTableThreads, 5)
    adam_kernel(const __grid_constant__ TensorTable<Entry, kTensors> table, const AdamFactors given,
                const Live live) {
  if (live.skip != nullptr && *live.skip != 0) return;
  const AdamFactors f = live.factors != nullptr ? *live.factors : given;
  const float inverse = live.gradient_scale != nullptr ? 1.0f / *live.gradient_scale : 1.0f;
  simt::for_my_piece(table, [&](const Entry& tensor, int64_t begin, int64_t end) {
    simt::for_each_of_piece(begin, end, tensor.vectors, [&](auto width, int64_t i) {
      constexpr int kCount = decltype(width)::value;
      float w[kCount], g[kCount], m[kCount], v[kCount];
      simt::load_any(tensor.g, tensor.gradient_type, i, g);
      simt::load(tensor.w + i, w);
      simt::load(tensor.m + i, m);
      simt::load(tensor.v + i, v);
#pragma unroll
      for (int k = 0; k < kCount; ++k) w[k] = adam_update(f, w[k], g[k] * inverse, m[k], v[k]);
      simt::store(tensor.w + i, w);
      simt::store(tensor.m + i, m);
      simt::store(tensor.v + i, v);
      if (tensor.copy != nullptr) simt::store_any(tensor.copy, tensor.copy_type, i, w);
    });
  });
}

__global__ void __launch_bounds__(32) adam_advance_kernel(const AdamAdvance a) {
  if (threadIdx.x == 0) advance(a);
}

}  // namespace

void adam_step(const Exec& exec, const AdamStep& a) {
  simt::for_each_table<Entry>(
      a.tensors.size(),
      [&](size_t i) {
        const AdamTensor& t = a.tensors[i];
        const bool vectors =
            simt::is_vector_aligned(t.w, t.m, t.v) &&
            simt::is_vector_aligned(t.g.data(), static_cast<const void*>(t.copy.data()));
        return Entry{t.w,     t.g.data(), t.m,           t.v,    t.copy.data(),
                     t.count, t.g.type(), t.copy.type(), vectors};
      },
      [&]<int kTensors>(const TensorTable<Entry, kTensors>& table) {
        simt::launch(adam_kernel<kTensors>, {table.pieces, kTableThreads, 0, exec.stream}, table,
                     a.factors, Live{a.live_factors, a.gradient_scale, a.skip});
      });
}

void adam_advance(const Exec& exec, const AdamAdvance& a) {
  VERACE_CHECK(a.steps != nullptr && a.factors != nullptr);
  simt::launch(adam_advance_kernel, {1, 32, 0, exec.stream}, a);
}

}  // namespace verace::kernels::cuda
