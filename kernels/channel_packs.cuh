// Device code of the operations over channels (batch norm, pooling): eight channels per thread,
// sums over the lanes of a block.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/batch_norm_math.h"
#include "kernels/check.h"
#include "kernels/simt/launch.h"
#include "kernels/simt/vector_access.h"

namespace verace::kernels::cuda {

// The channels of one thread: 16 bytes of fp16 or bf16, one byte of a 1-bit mask.
using Pack = float[kPackChannels];

// x as T holds it.
template <class T>
__device__ inline void round_pack(Pack& x) {
#pragma unroll
  for (int k = 0; k < kPackChannels; ++k) {
    T stored;
    simt::assign(stored, x[k]);
    x[k] = simt::widen(stored);
  }
}

// Row-wise reduction kernels: the block's threads are lanes_x along channels, lanes_y along rows.
inline constexpr unsigned kSumThreads = static_cast<unsigned>(RowChunks::kThreads);

__device__ inline unsigned thread_of_block() { return threadIdx.y * blockDim.x + threadIdx.x; }

// Of `rows` rows dealt out to `lanes` lanes in turn: those of one lane.
__device__ inline unsigned rows_of_lane(unsigned rows, unsigned lane, unsigned lanes) {
  return lane < rows ? (rows - lane - 1) / lanes + 1 : 0;
}

// --- sums over lanes in a fixed order, all threads of the block taking part

// Kernels that reduce chunks to one number per channel: kColumns channels and kColumnLanes lanes.
inline constexpr unsigned kColumns = 8;
inline constexpr unsigned kColumnLanes = 32;

// The sum of `value` over the lanes of the thread's column, for all of its threads.
__device__ inline double column_sum(double value) {
  __shared__ double tile[kColumnLanes][kColumns];
  tile[threadIdx.y][threadIdx.x] = value;
  for (unsigned half = kColumnLanes / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half) tile[threadIdx.y][threadIdx.x] += tile[threadIdx.y + half][threadIdx.x];
  }
  __syncthreads();
  const double total = tile[0][threadIdx.x];
  __syncthreads();  // the next call overwrites the tile
  return total;
}

// Adds sums[k][thread] over the lanes along y; the totals stand at the threads of lane 0, which are
// the ones that may read them without another barrier. The caller has written its own column.
template <class T, int kCount>
__device__ inline void add_lanes(T (&sums)[kCount][kSumThreads]) {
  const unsigned thread = thread_of_block();
  for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half) {
#pragma unroll
      for (int k = 0; k < kCount; ++k) sums[k][thread] += sums[k][thread + half * blockDim.x];
    }
  }
}

// --- for launchers (host code)

// A size as what a grid takes, or a failed check.
inline unsigned grid_size(int64_t size, int64_t most = 0x7fffffff) {
  VERACE_CHECK(size > 0 && size <= most, "too large for a CUDA grid");
  return static_cast<unsigned>(size);
}

inline dim3 chunk_grid(const RowChunks& chunks) {
  VERACE_CHECK(chunks.rows_per_chunk <= 0x7fffffff, "too many rows for one chunk");
  return {grid_size(chunks.tiles), grid_size(chunks.chunks, 65535), 1};
}

inline dim3 chunk_block(const RowChunks& chunks) {
  return {static_cast<unsigned>(chunks.lanes_x), static_cast<unsigned>(chunks.lanes_y), 1};
}

// Element-wise kernels in which each thread keeps its channels: pack i of thread t is t + i * step,
// and step is a multiple of the packs of a row.
struct PackWalk {
  static constexpr unsigned kThreads = 256;
  static constexpr int64_t kPacksPerThread = 4;  // a thread's parameters serve at least so many
  // Many waves: a short last one costs little. Few blocks where they are emulated
  // (vector_access.h).
  static constexpr int64_t kMostBlocks = SIMT_EMULATED ? 2 : 132 * 32;

  unsigned blocks;
  size_t step;

  // `packs` in all; packs_per_row = 1 where threads need not keep their channels.
  PackWalk(int64_t packs, int64_t packs_per_row) {
    const int64_t wanted = RowChunks::ceil_div(packs, kThreads * kPacksPerThread);
    const int64_t least = RowChunks::ceil_div(packs_per_row, kThreads);
    blocks = grid_size(std::max(least, std::min(wanted, kMostBlocks)));
    const int64_t threads = static_cast<int64_t>(blocks) * kThreads;
    step = static_cast<size_t>(threads / packs_per_row * packs_per_row);
  }
};

}  // namespace verace::kernels::cuda
