// Many tensors in one launch: a table of them travels as a kernel parameter, and every block finds
// the piece of the tensor that it works on.
//
// A kernel may have 32764 bytes of parameters (compute capability 7.0 and above, CUDA 12.1 and
// above): room for more tensors than a ResNet-152 has. The table is thus part of the launch: no
// device memory, no copy to wait for, and a captured step carries it along.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/check.h"
#include "kernels/simt/launch.h"
#include "kernels/simt/vector_access.h"
#include "kernels/storage.h"

namespace verace::simt {

inline constexpr unsigned kTableThreads = 256;
// Elements of one piece, the work of one block: 4 vectors of 4 for each thread.
inline constexpr int64_t kTablePiece = 4096;

// Entry: trivially copyable, with `int64_t count` and `bool vectors` (all its pointers allow
// accesses of four elements). kTensors: for how many there is room.
template <typename Entry, int kTensors>
struct TensorTable {
  int32_t tensors = 0;
  uint32_t pieces = 0;
  uint32_t first_piece[kTensors];
  Entry entry[kTensors];
};

namespace detail {

template <typename Entry, int kTensors, typename MakeEntry, typename Launch>
void for_each_table_of(size_t count, const MakeEntry& entry, const Launch& launch) {
  static_assert(sizeof(TensorTable<Entry, kTensors>) <= 32764 - 256,
                "leaves no room for other parameters");
  TensorTable<Entry, kTensors> table;
  for (size_t i = 0; i < count; ++i) {
    const Entry e = entry(i);
    VERACE_CHECK(e.count >= 0);
    if (e.count == 0) continue;
    const int64_t pieces = (e.count + kTablePiece - 1) / kTablePiece;
    VERACE_CHECK(pieces <= 0x7fffffff);
    const bool fits = table.tensors < kTensors && table.pieces + pieces <= 0x7fffffff;
    if (!fits) {
      launch(table);
      table.tensors = 0;
      table.pieces = 0;
    }
    table.first_piece[table.tensors] = table.pieces;
    table.entry[table.tensors] = e;
    ++table.tensors;
    table.pieces += static_cast<uint32_t>(pieces);
  }
  if (table.tensors > 0) launch(table);
}

}  // namespace detail

// Fills tables from entry(0), entry(1) ... entry(count - 1), leaving out empty tensors, and calls
// launch(table) for each full one and for the rest: once in all for up to 512 tensors. Every launch
// copies its whole table, so few tensors (a head that is trained alone) or those of a ResNet-50
// (161) get a smaller one.
template <typename Entry, typename MakeEntry, typename Launch>
void for_each_table(size_t count, const MakeEntry& entry, const Launch& launch) {
  if (count <= 32) return detail::for_each_table_of<Entry, 32>(count, entry, launch);
  if (count <= 192) return detail::for_each_table_of<Entry, 192>(count, entry, launch);
  detail::for_each_table_of<Entry, 512>(count, entry, launch);
}

// Calls body(entry, begin, end) once, with the tensor and the range of elements of this block.
template <typename Entry, int kTensors, typename Body>
__device__ inline void for_my_piece(const TensorTable<Entry, kTensors>& table, const Body& body) {
  int low = 0, high = table.tensors - 1;  // the last tensor that starts at or before this piece
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (table.first_piece[middle] <= blockIdx.x) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  const Entry& entry = table.entry[low];
  const int64_t begin = (blockIdx.x - table.first_piece[low]) * kTablePiece;
  const int64_t end = begin + kTablePiece < entry.count ? begin + kTablePiece : entry.count;
  body(entry, begin, end);
}

// Calls body(Width<4>{} or Width<1>{}, i) for [begin, end), spread over the threads of this block.
// begin is a multiple of 4.
template <typename Body>
__device__ inline void for_each_of_piece(int64_t begin, int64_t end, bool vectors,
                                         const Body& body) {
  const int64_t whole = vectors ? begin + (end - begin) / 4 * 4 : begin;
  for (int64_t i = begin + threadIdx.x * 4; i < whole; i += kTableThreads * 4) {
    body(Width<4>{}, i);
  }
  for (int64_t i = whole + threadIdx.x; i < end; i += kTableThreads) body(Width<1>{}, i);
}

// Elements i, i + 1 ... of numbers whose type only the table knows: a branch that all threads of a
// block take alike.
template <int kCount>
__device__ inline void load_any(const void* p, kernels::StorageType type, int64_t i,
                                float (&x)[kCount]) {
  if (type == kernels::StorageType::kFloat) {
    load(static_cast<const float*>(p) + i, x);
  } else if (type == kernels::StorageType::kHalf) {
    load(static_cast<const Half*>(p) + i, x);
  } else {
    load(static_cast<const BFloat16*>(p) + i, x);
  }
}

template <int kCount>
__device__ inline void store_any(void* p, kernels::StorageType type, int64_t i,
                                 const float (&x)[kCount]) {
  if (type == kernels::StorageType::kFloat) {
    store(static_cast<float*>(p) + i, x);
  } else if (type == kernels::StorageType::kHalf) {
    store(static_cast<Half*>(p) + i, x);
  } else {
    store(static_cast<BFloat16*>(p) + i, x);
  }
}

}  // namespace verace::simt
