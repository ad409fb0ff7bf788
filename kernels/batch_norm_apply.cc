// Batch normalisation on the CPU: normalise, add a shortcut, ReLU, keep its 1-bit mask.
#include <algorithm>
#include <type_traits>

#include "kernels/batch_norm.h"
#include "kernels/batch_norm_rows.h"
#include "kernels/check.h"
#include "kernels/scalar_math.h"

namespace verace::kernels::cpu {
namespace {

enum class Shortcut { kNone, kPlain, kNormalised };

// scale[j] = inv_std * gamma of the tile's channels.
void fill_scale(const float* inv_std, const float* gamma, const Tile& tile, float* scale) {
  for (int64_t j = 0; j < tile.width; ++j) {
    scale[j] = inv_std[tile.first_channel + j] * gamma[tile.first_channel + j];
  }
}

template <Shortcut kShortcut, bool kRelu>
void apply_tile(const BatchNormApply& args, const Tile& tile) {
  constexpr bool kNormalised = kShortcut == Shortcut::kNormalised;
  const int64_t first = tile.first_channel;
  const float *mean = args.mean + first, *beta = args.beta + first;
  const float* mean2 = kNormalised ? args.shortcut_mean + first : nullptr;
  const float* beta2 = kNormalised ? args.shortcut_beta + first : nullptr;
  alignas(64) float scale[kTile];
  alignas(64) float scale2[kNormalised ? kTile : 1];
  fill_scale(args.inv_std, args.gamma, tile, scale);
  if constexpr (kNormalised) fill_scale(args.shortcut_inv_std, args.shortcut_gamma, tile, scale2);
  for (int64_t row = tile.first_row; row < tile.end_row; ++row) {
    const float* x = args.x + tile.at(row);
    const float* shortcut = kShortcut != Shortcut::kNone ? args.shortcut + tile.at(row) : nullptr;
    float* y = args.y + tile.at(row);
#pragma omp simd
    for (int64_t j = 0; j < tile.width; ++j) {
      float z = (x[j] - mean[j]) * scale[j] + beta[j];
      if constexpr (kShortcut == Shortcut::kPlain) z += shortcut[j];
      if constexpr (kNormalised) z += (shortcut[j] - mean2[j]) * scale2[j] + beta2[j];
      if constexpr (kRelu) z = leaky_relu(z, 0.0f);
      y[j] = z;
    }
  }
}

template <Shortcut kShortcut>
void apply_all(const Exec& exec, const BatchNormApply& args) {
  for_each_tile(exec, args.rows, args.c, [&](const Tile& tile) {
    args.relu ? apply_tile<kShortcut, true>(args, tile) : apply_tile<kShortcut, false>(args, tile);
  });
}

// A pass of its own, because the tiles' borders lie between the bits of a word.
void write_mask(const Exec& exec, const BatchNormApply& args) {
  const int64_t count = args.rows * args.c;
  parallel_ranges(exec, mask_words(count), kElementGrain / 32, [&](int64_t begin, int64_t end) {
    for (int64_t word = begin; word < end; ++word) {
      const float* y = args.y + 32 * word;
      const int64_t bits = std::min<int64_t>(32, count - 32 * word);
      uint32_t mask = 0;
      for (int64_t i = 0; i < bits; ++i) mask |= static_cast<uint32_t>(y[i] > 0.0f) << i;
      args.mask[word] = mask;
    }
  });
}

}  // namespace

void batch_norm_apply(const Exec& exec, const BatchNormApply& args) {
  VERACE_CHECK(args.rows > 0 && args.c > 0);
  VERACE_CHECK(args.mask == nullptr || args.relu);
  check_shortcut(args);
  if (args.shortcut == nullptr) {
    apply_all<Shortcut::kNone>(exec, args);
  } else if (args.shortcut_mean == nullptr) {
    apply_all<Shortcut::kPlain>(exec, args);
  } else {
    apply_all<Shortcut::kNormalised>(exec, args);
  }
  if (args.mask != nullptr) write_mask(exec, args);
}

}  // namespace verace::kernels::cpu
