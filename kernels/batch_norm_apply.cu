// Batch normalisation on CUDA: normalise, add a (normalised) shortcut, ReLU, keep its 1-bit mask.
#include "kernels/batch_norm.h"
#include "kernels/channel_packs.cuh"

namespace verace::kernels::cuda {
namespace {

enum class Shortcut { kNone, kPlain, kNormalised };

// One normalisation at one channel.
struct Affine {
  float mean, scale, beta;

  __device__ float of(float x) const { return (x - mean) * scale + beta; }
};

// Its parameters.
struct Branch {
  const float *mean, *inv_std, *gamma, *beta;  // [c]

  __device__ Affine at(size_t channel) const {
    return {mean[channel], inv_std[channel] * gamma[channel], beta[channel]};
  }
};

// The same at a thread's channels.
struct BranchPack {
  Pack mean, scale, beta;

  __device__ void load(const Branch& b, size_t channel) {
    Pack inv_std, gamma;
    simt::load_some<true>(b.mean + channel, kPackChannels, mean);
    simt::load_some<true>(b.inv_std + channel, kPackChannels, inv_std);
    simt::load_some<true>(b.gamma + channel, kPackChannels, gamma);
    simt::load_some<true>(b.beta + channel, kPackChannels, beta);
#pragma unroll
    for (int k = 0; k < kPackChannels; ++k) scale[k] = inv_std[k] * gamma[k];
  }
  __device__ Affine at(int k) const { return {mean[k], scale[k], beta[k]}; }
};

template <class T>
struct Apply {
  size_t count, c, step;  // elements, channels, packs between two of a thread
  const T* x;
  Branch branch;
  const T* shortcut;
  Branch shortcut_branch;
  bool relu, vectors;
  T* y;
  uint8_t* mask;  // the words' bytes: byte i holds elements 8 * i ... (the GPU is little-endian)
};

// y of one element.
template <Shortcut kShortcut>
__device__ float output_of(float x, const Affine& main, float shortcut, const Affine& side,
                           bool relu) {
  float y = main.of(x);
  if constexpr (kShortcut == Shortcut::kPlain) y += shortcut;
  if constexpr (kShortcut == Shortcut::kNormalised) y += side.of(shortcut);
  return relu ? leaky_relu(y, 0.0f) : y;
}

// Bits of y > 0 as y is stored.
template <class T>
__device__ uint8_t positive_bits(const Pack& y) {
  unsigned bits = 0;
#pragma unroll
  for (int k = 0; k < kPackChannels; ++k) {
    T stored;
    simt::assign(stored, y[k]);
    bits |= (simt::widen(stored) > 0.0f ? 1u : 0u) << k;
  }
  return static_cast<uint8_t>(bits);
}

// Whole packs; c is a multiple of a pack, so a thread keeps its channels.
template <class T, Shortcut kShortcut>
__device__ void apply_vectors(const Apply<T>& a, size_t thread) {
  const size_t packs = a.count / kPackChannels;
  if (thread >= a.step || thread >= packs) return;
  const size_t channel = thread % (a.c / kPackChannels) * kPackChannels;
  BranchPack main, side = {};
  main.load(a.branch, channel);
  if constexpr (kShortcut == Shortcut::kNormalised) side.load(a.shortcut_branch, channel);
  for (size_t pack = thread; pack < packs; pack += a.step) {
    const size_t i = pack * kPackChannels;
    Pack x, shortcut = {};
    simt::load_some<true>(a.x + i, kPackChannels, x);
    if constexpr (kShortcut != Shortcut::kNone) {
      simt::load_some<true>(a.shortcut + i, kPackChannels, shortcut);
    }
#pragma unroll
    for (int k = 0; k < kPackChannels; ++k) {
      x[k] = output_of<kShortcut>(x[k], main.at(k), shortcut[k], side.at(k), a.relu);
    }
    simt::store_some<true>(a.y + i, kPackChannels, x);
    if (a.mask != nullptr) a.mask[pack] = positive_bits<T>(x);
  }
}

// Any number of channels, any alignment.
template <class T, Shortcut kShortcut>
__device__ void apply_singles(const Apply<T>& a, size_t thread) {
  for (size_t i = thread * kPackChannels; i < a.count; i += a.step * kPackChannels) {
    const int valid = simt::valid_of<kPackChannels>(i, a.count);
    size_t channel = i % a.c;
    Pack x;
    simt::load_some<false>(a.x + i, valid, x);
#pragma unroll
    for (int k = 0; k < kPackChannels; ++k) {
      if (k >= valid) continue;
      float shortcut = 0.0f;
      Affine side = {};
      if constexpr (kShortcut != Shortcut::kNone) shortcut = simt::widen(a.shortcut[i + k]);
      if constexpr (kShortcut == Shortcut::kNormalised) side = a.shortcut_branch.at(channel);
      x[k] = output_of<kShortcut>(x[k], a.branch.at(channel), shortcut, side, a.relu);
      channel = channel + 1 == a.c ? 0 : channel + 1;
    }
    simt::store_some<false>(a.y + i, valid, x);
    // Beyond the end x holds zeros, which give zero bits.
    if (a.mask != nullptr) a.mask[i / kPackChannels] = positive_bits<T>(x);
  }
}

// Three blocks per multiprocessor for two normalisations (80 registers), five for one (48).
template <class T, Shortcut kShortcut>
__global__ void __launch_bounds__(PackWalk::kThreads, kShortcut == Shortcut::kNormalised ? 3 : 5)
    apply_kernel(Apply<T> a) {
  const size_t thread = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (a.vectors) {
    apply_vectors<T, kShortcut>(a, thread);
  } else {
    apply_singles<T, kShortcut>(a, thread);
  }
  // The bytes of the last word that hold no element.
  if (a.mask != nullptr && thread == 0) {
    const size_t bytes = (a.count + kPackChannels - 1) / kPackChannels;
    for (size_t i = bytes; i % sizeof(uint32_t) != 0; ++i) a.mask[i] = 0;
  }
}

}  // namespace

template <class T>
void batch_norm_apply(const Exec& exec, const BatchNormApplyOf<T>& args) {
  VERACE_CHECK(args.rows > 0 && args.c > 0);
  VERACE_CHECK(args.mask == nullptr || args.relu);
  check_shortcut(args);
  const Branch branch{args.mean, args.inv_std, args.gamma, args.beta};
  const Branch side{args.shortcut_mean, args.shortcut_inv_std, args.shortcut_gamma,
                    args.shortcut_beta};
  const bool vectors =
      args.c % kPackChannels == 0 && simt::is_vector_aligned(args.x, args.shortcut, args.y) &&
      simt::is_vector_aligned(branch.mean, branch.inv_std, branch.gamma, branch.beta) &&
      simt::is_vector_aligned(side.mean, side.inv_std, side.gamma, side.beta);
  const int64_t count = args.rows * args.c;
  const PackWalk walk(RowChunks::ceil_div(count, kPackChannels),
                      vectors ? args.c / kPackChannels : 1);
  const Apply<T> a{static_cast<size_t>(count),
                   static_cast<size_t>(args.c),
                   walk.step,
                   args.x,
                   branch,
                   args.shortcut,
                   side,
                   args.relu,
                   vectors,
                   args.y,
                   reinterpret_cast<uint8_t*>(args.mask)};
  const auto kernel = args.shortcut == nullptr        ? apply_kernel<T, Shortcut::kNone>
                      : args.shortcut_mean == nullptr ? apply_kernel<T, Shortcut::kPlain>
                                                      : apply_kernel<T, Shortcut::kNormalised>;
  simt::launch(kernel, {walk.blocks, PackWalk::kThreads, 0, exec.stream}, a);
}

template void batch_norm_apply(const Exec&, const BatchNormApplyOf<float>&);
template void batch_norm_apply(const Exec&, const BatchNormApplyOf<Half>&);
template void batch_norm_apply(const Exec&, const BatchNormApplyOf<BFloat16>&);

}  // namespace verace::kernels::cuda
