// Loss scaling on CUDA devices: all tensors in one launch, the state never leaves the device.
#include "kernels/loss_scale.h"

#include "kernels/check.h"
#include "kernels/simt/launch.h"
#include "kernels/simt/tensor_table.h"
#include "kernels/simt/vector_access.h"

namespace verace::kernels::cuda {
namespace {

using simt::kTableThreads;
using simt::TensorTable;

struct Entry {
  void* data;
  int64_t count;
  StorageType type;
  bool vectors;
};

// The flag only ever goes to 1, so the order of the blocks leaves no trace.
template <int kTensors>
__global__ void __launch_bounds__(kTableThreads)
    find_non_finite_kernel(const __grid_constant__ TensorTable<Entry, kTensors> table,
                           uint32_t* found) {
  bool here = false;
  simt::for_my_piece(table, [&](const Entry& tensor, int64_t begin, int64_t end) {
    simt::for_each_of_piece(begin, end, tensor.vectors, [&](auto width, int64_t i) {
      float x[decltype(width)::value];
      simt::load_any(tensor.data, tensor.type, i, x);
#pragma unroll
      for (const float value : x) here |= !simt::is_finite(value);
    });
  });
  if (__syncthreads_or(here) != 0 && threadIdx.x == 0) atomicExch(found, 1u);
}

template <int kTensors>
__global__ void __launch_bounds__(kTableThreads)
    unscale_kernel(const __grid_constant__ TensorTable<Entry, kTensors> table,
                   const float* __restrict__ scale) {
  const float inverse = 1.0f / *scale;
  simt::for_my_piece(table, [&](const Entry& tensor, int64_t begin, int64_t end) {
    simt::for_each_of_piece(begin, end, tensor.vectors, [&](auto width, int64_t i) {
      float x[decltype(width)::value];
      simt::load_any(tensor.data, tensor.type, i, x);
#pragma unroll
      for (float& value : x) value *= inverse;
      simt::store_any(tensor.data, tensor.type, i, x);
    });
  });
}

__global__ void __launch_bounds__(32)
    update_loss_scale_kernel(const LossScaleRule rule, LossScaleState* state, uint32_t* found) {
  if (threadIdx.x != 0) return;
  *state = next_loss_scale(rule, *state, *found != 0);
  *found = 0;
}

template <typename Void>
Entry entry_of(const AnyStorage<Void>& data, int64_t count) {
  return {const_cast<void*>(static_cast<const void*>(data.data())), count, data.type(),
          simt::is_vector_aligned(data.data())};
}

}  // namespace

void find_non_finite(const Exec& exec, const FindNonFinite& a) {
  simt::for_each_table<Entry>(
      a.tensors.size(), [&](size_t i) { return entry_of(a.tensors[i].data, a.tensors[i].count); },
      [&]<int kTensors>(const TensorTable<Entry, kTensors>& table) {
        simt::launch(find_non_finite_kernel<kTensors>,
                     {table.pieces, kTableThreads, 0, exec.stream}, table, a.found);
      });
}

void unscale(const Exec& exec, const Unscale& a) {
  simt::for_each_table<Entry>(
      a.tensors.size(), [&](size_t i) { return entry_of(a.tensors[i].data, a.tensors[i].count); },
      [&]<int kTensors>(const TensorTable<Entry, kTensors>& table) {
        simt::launch(unscale_kernel<kTensors>, {table.pieces, kTableThreads, 0, exec.stream}, table,
                     a.scale);
      });
}

void update_loss_scale(const Exec& exec, const UpdateLossScale& a) {
  simt::launch(update_loss_scale_kernel, {1, 32, 0, exec.stream}, a.rule, a.state, a.found);
}

}  // namespace verace::kernels::cuda
