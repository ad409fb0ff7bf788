// Batch normalisation on the CPU: gradients.
#include <algorithm>
#include <type_traits>

#include "kernels/batch_norm.h"
#include "kernels/batch_norm_math.h"
#include "kernels/batch_norm_rows.h"
#include "kernels/check.h"

namespace verace::kernels::cpu {
namespace {

// Where the ReLU's mask comes from.
enum class Mask { kNone, kOutput, kBits };

// The gradient at the output before it enters the normalisation: (dy + dy2) * [y > 0].
struct Incoming {
  const float *dy, *dy2, *y;
  const uint32_t* mask;
  int64_t first = 0;  // index of dy[0] in the whole tensor, where its bit in the mask is

  // The same from element `first` on.
  template <bool kFork, Mask kMask>
  Incoming from(int64_t start) const {
    return {dy + start, kFork ? dy2 + start : nullptr, kMask == Mask::kOutput ? y + start : nullptr,
            mask, first + start};
  }
  template <bool kFork, Mask kMask>
  float dz(int64_t i) const {
    float sum = dy[i];
    if constexpr (kFork) sum += dy2[i];
    if constexpr (kMask == Mask::kOutput) sum = y[i] > 0.0f ? sum : 0.0f;
    if constexpr (kMask == Mask::kBits) {
      const int64_t bit = first + i;
      sum = (mask[bit / 32] >> (bit % 32) & 1u) != 0u ? sum : 0.0f;
    }
    return sum;
  }
};

// Calls body(fork, mask) with compile-time constants that say which parts `in` has.
template <typename Body>
void with_parts(const Incoming& in, const Body& body) {
  const auto with = [&](auto fork) {
    if (in.y != nullptr) {
      body(fork, std::integral_constant<Mask, Mask::kOutput>{});
    } else if (in.mask != nullptr) {
      body(fork, std::integral_constant<Mask, Mask::kBits>{});
    } else {
      body(fork, std::integral_constant<Mask, Mask::kNone>{});
    }
  };
  in.dy2 != nullptr ? with(std::true_type{}) : with(std::false_type{});
}

// a += dz, b += dz * xhat over a block; kStore: dz goes to dshortcut as well.
template <bool kFork, Mask kMask, bool kStore>
void add_gradients(const BatchNormBackward& args, const Incoming& in, const Tile& tile, float* a,
                   float* b) {
  const float* mean = args.mean + tile.first_channel;
  const float* inv_std = args.inv_std + tile.first_channel;
  const auto group = [&](auto rows, int64_t row, int64_t begin, int64_t end) {
    const int64_t at = tile.at(row);
    const Incoming here = in.from<kFork, kMask>(at);
    const float* x = args.x + at;
    float* store = kStore ? args.dshortcut + at : nullptr;
#pragma omp simd
    for (int64_t j = begin; j < end; ++j) {
      float sum = a[j], product = b[j];
      for (int i = 0; i < rows; ++i) {
        const float dz = here.dz<kFork, kMask>(i * tile.c + j);
        sum += dz;
        product += dz * ((x[i * tile.c + j] - mean[j]) * inv_std[j]);
        if constexpr (kStore) store[i * tile.c + j] = dz;
      }
      a[j] = sum;
      b[j] = product;
    }
  };
  for_row_groups<2>(tile, {in.dy, args.x, in.dy2, in.y}, group);
}

// Per-channel factors of dx = scale * (dz - offset - (x - mean) * slope).
struct DxFactors {
  float *scale, *offset, *slope;
};

// kBatch: the two correction terms are there. kStore: dz goes to dshortcut as well.
template <bool kFork, Mask kMask, bool kBatch, bool kStore>
void write_dx(const BatchNormBackward& args, const Incoming& in, const DxFactors& f,
              const Tile& tile) {
  const int64_t first = tile.first_channel;
  const float *scale = f.scale + first, *offset = f.offset + first, *slope = f.slope + first;
  const float* mean = args.mean + first;
  for (int64_t row = tile.first_row; row < tile.end_row; ++row) {
    const int64_t at = tile.at(row);
    const Incoming here = in.from<kFork, kMask>(at);
    const float* x = kBatch ? args.x + at : nullptr;
    float* dx = args.dx + at;
    float* store = kStore ? args.dshortcut + at : nullptr;
#pragma omp simd
    for (int64_t j = 0; j < tile.width; ++j) {
      const float dz = here.dz<kFork, kMask>(j);
      float inner = dz;
      if constexpr (kBatch) inner = dz - offset[j] - (x[j] - mean[j]) * slope[j];
      if constexpr (kStore) store[j] = dz;
      dx[j] = scale[j] * inner;
    }
  }
}

void write_gradient(GradMode mode, const double* sums, int64_t c, float* gradient) {
  for (int64_t j = 0; mode != GradMode::kSkip && j < c; ++j) {
    gradient[j] = new_gradient(mode, gradient + j, static_cast<float>(sums[j]));
  }
}

// First pass: the sums, dgamma and dbeta; leaves dz in dshortcut if that is wanted.
void sum_gradients(const Exec& exec, const BatchNormBackward& args, const Incoming& in,
                   double* sums) {
  with_parts(in, [&](auto fork, auto mask) {
    sum_over_rows(exec, args.rows, args.c, sums, [&](const Tile& tile, float* a, float* b) {
      args.dshortcut != nullptr ? add_gradients<fork, mask, true>(args, in, tile, a, b)
                                : add_gradients<fork, mask, false>(args, in, tile, a, b);
    });
  });
  write_gradient(args.dbeta_mode, sums, args.c, args.dbeta);
  write_gradient(args.dgamma_mode, sums + args.c, args.c, args.dgamma);
}

void fill_dx_factors(const BatchNormBackward& args, const double* sums, const DxFactors& f) {
  const double n = static_cast<double>(args.rows);
  for (int64_t j = 0; j < args.c; ++j) {
    f.scale[j] = args.gamma[j] * args.inv_std[j];
    if (sums == nullptr) continue;
    f.offset[j] = static_cast<float>(sums[j] / n);
    f.slope[j] = static_cast<float>(sums[args.c + j] / n * static_cast<double>(args.inv_std[j]));
  }
}

}  // namespace

void batch_norm_backward(const Exec& exec, const BatchNormBackward& args) {
  VERACE_CHECK(args.rows > 0 && args.c > 0);
  VERACE_CHECK(args.dx == nullptr || args.dx != args.dshortcut);
  VERACE_CHECK(args.y == nullptr || args.mask == nullptr, "the mask is given twice");
  const bool batch = args.mode == BatchNormMode::kBatchStatistics;
  const bool gradients = args.dgamma_mode != GradMode::kSkip || args.dbeta_mode != GradMode::kSkip;
  // Without dx the first pass is the one that writes dshortcut.
  const bool need_sums = gradients || batch || args.dx == nullptr;
  const uintptr_t address = reinterpret_cast<uintptr_t>(args.scratch);
  float* aligned = args.scratch + address % sizeof(double) / sizeof(float);
  double* sums = reinterpret_cast<double*>(aligned);
  float* factors = aligned + 2 * piece_count(args.rows) * 2 * args.c;
  const DxFactors f{factors, factors + args.c, factors + 2 * args.c};

  Incoming in{args.dy, args.dy2, args.y, args.mask};
  bool store = args.dshortcut != nullptr;
  if (need_sums) {
    sum_gradients(exec, args, in, sums);
    // dz is complete now: the second pass reads it instead of its (perhaps overwritten) parts.
    if (store) in = {args.dshortcut, nullptr, nullptr, nullptr};
    store = false;
  }
  if (args.dx == nullptr) return;
  fill_dx_factors(args, need_sums ? sums : nullptr, f);
  with_parts(in, [&](auto fork, auto mask) {
    for_each_tile(exec, args.rows, args.c, [&](const Tile& tile) {
      batch   ? write_dx<fork, mask, true, false>(args, in, f, tile)
      : store ? write_dx<fork, mask, false, true>(args, in, f, tile)
              : write_dx<fork, mask, false, false>(args, in, f, tile);
    });
  });
}

}  // namespace verace::kernels::cpu
