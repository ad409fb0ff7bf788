// Loops of the CPU's batch norm over [rows, c]: tiles of channels, pieces of rows, sums over rows.
//
// Sums over rows have three levels: float over 32 rows (centred values, so nothing cancels), double
// over a piece of the rows, then the pieces in order. Pieces depend on the shape alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <type_traits>

#include "kernels/parallel.h"
#include "kernels/row_sums.h"

namespace verace::kernels::cpu {

inline constexpr int64_t kBlockRows = 32;  // rows whose sum stays in float
inline constexpr int64_t kTile = 1024;  // channels at a time: two accumulators of 4 KiB stay in L1

inline int64_t rows_per_piece(int64_t rows) {
  const int64_t share = (rows + kMaxPieces - 1) / kMaxPieces;
  return std::max(2 * kBlockRows, (share + kBlockRows - 1) / kBlockRows * kBlockRows);
}

inline int64_t piece_count(int64_t rows) { return (rows - 1) / rows_per_piece(rows) + 1; }

// A tile of a block of rows: what one call of a summing function works on.
struct Tile {
  int64_t first_row, end_row;  // rows of this block
  int64_t rows, c;             // of the whole tensor
  int64_t first_channel, width;

  int64_t at(int64_t row) const { return row * c + first_channel; }
};

// Calls group(n, row, begin, end) for n = kRows rows (a compile-time constant) and then single
// ones, over channels [begin, end) of the tile. Rows to come are prefetched in each of `streams`
// (nullptr: none): the hardware loses them while accumulators are read in between, at half of the
// bandwidth.
template <int kRows, typename Group>
void for_row_groups(const Tile& tile, std::initializer_list<const float*> streams,
                    const Group& group) {
  const int64_t distance = std::max<int64_t>(1, kAhead / tile.width);
  int64_t row = tile.first_row;
  for (; row + kRows <= tile.end_row; row += kRows) {
    for (int64_t begin = 0; begin < tile.width; begin += kChunk) {
      const int64_t end = std::min(begin + kChunk, tile.width);
      const int64_t end_ahead = std::min(row + distance + kRows, tile.rows);
      for (const float* stream : streams) {
        for (int64_t r = row + distance; stream != nullptr && r < end_ahead; ++r) {
          const float* ahead = stream + tile.at(r);
          for (int64_t j = begin; j < end; j += kLine) __builtin_prefetch(ahead + j, 0, 2);
        }
      }
      group(std::integral_constant<int, kRows>{}, row, begin, end);
    }
  }
  constexpr std::integral_constant<int, 1> one{};
  for (; row < tile.end_row; ++row) group(one, row, int64_t{0}, tile.width);
}

// Calls block(tile, a, b), which adds its rows to a[width] and b[width], for the whole tensor.
// Afterwards partial[0, c) holds the sums of a and partial[c, 2c) those of b; partial has
// piece_count(rows)*2c doubles.
template <typename Block>
void sum_over_rows(const Exec& exec, int64_t rows, int64_t c, double* partial, const Block& block) {
  const int64_t grain = rows_per_piece(rows);
  parallel_ranges(exec, rows, grain, [&](int64_t begin, int64_t end) {
    double* sums = partial + begin / grain * 2 * c;
    std::fill_n(sums, 2 * c, 0.0);
    alignas(64) float a[kTile], b[kTile];
    for (int64_t j0 = 0; j0 < c; j0 += kTile) {
      const int64_t width = std::min(kTile, c - j0);
      for (int64_t r = begin; r < end; r += kBlockRows) {
        std::fill_n(a, width, 0.0f);
        std::fill_n(b, width, 0.0f);
        block(Tile{r, std::min(r + kBlockRows, end), rows, c, j0, width}, a, b);
#pragma omp simd
        for (int64_t j = 0; j < width; ++j) {
          sums[j0 + j] += static_cast<double>(a[j]);
          sums[c + j0 + j] += static_cast<double>(b[j]);
        }
      }
    }
  });
  const int64_t pieces = piece_count(rows);
  parallel_ranges(exec, 2 * c, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t p = 1; p < pieces; ++p) {
#pragma omp simd
      for (int64_t j = begin; j < end; ++j) partial[j] += partial[p * 2 * c + j];
    }
  });
}

// Calls body(tile) for blocks of rows that sum nothing.
template <typename Body>
void for_each_tile(const Exec& exec, int64_t rows, int64_t c, const Body& body) {
  const int64_t grain = std::max<int64_t>(1, kElementGrain / c);
  parallel_ranges(exec, rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t j0 = 0; j0 < c; j0 += kTile) {
      body(Tile{begin, end, rows, c, j0, std::min(kTile, c - j0)});
    }
  });
}

}  // namespace verace::kernels::cpu
