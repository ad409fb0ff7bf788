// Batch normalisation on CUDA: normalise, add a (normalised) shortcut, ReLU, keep its 1-bit mask.
#include "kernels/batch_norm.h"
#include "kernels/channel_packs.cuh"

namespace verace::kernels::cuda {
namespace {

enum class Shortcut { kNone, kPlain, kNormalised };

// One normalisation: (x - mean) * inv_std * gamma + beta.
struct Branch {
  const float *mean, *inv_std, *gamma, *beta;  // [c]
};

// Its parameters at a thread's channels.
struct BranchPack {
  Pack mean, scale, beta;

  __device__ void load(const Branch& b, size_t channel) {
    Pack inv_std, gamma;
    load_pack<true>(b.mean + channel, kPackChannels, mean);
    load_pack<true>(b.inv_std + channel, kPackChannels, inv_std);
    load_pack<true>(b.gamma + channel, kPackChannels, gamma);
    load_pack<true>(b.beta + channel, kPackChannels, beta);
#pragma unroll
    for (int k = 0; k < kPackChannels; ++k) scale[k] = inv_std[k] * gamma[k];
  }
  __device__ float at(int k, float x) const { return (x - mean[k]) * scale[k] + beta[k]; }
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

__device__ float normalised(const Branch& b, size_t channel, float x) {
  return (x - b.mean[channel]) * (b.inv_std[channel] * b.gamma[channel]) + b.beta[channel];
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
  BranchPack main, side;
  main.load(a.branch, channel);
  if constexpr (kShortcut == Shortcut::kNormalised) side.load(a.shortcut_branch, channel);
  for (size_t pack = thread; pack < packs; pack += a.step) {
    const size_t i = pack * kPackChannels;
    Pack x, shortcut;
    load_pack<true>(a.x + i, kPackChannels, x);
    if constexpr (kShortcut != Shortcut::kNone) {
      load_pack<true>(a.shortcut + i, kPackChannels, shortcut);
    }
#pragma unroll
    for (int k = 0; k < kPackChannels; ++k) {
      x[k] = main.at(k, x[k]);
      if constexpr (kShortcut == Shortcut::kPlain) x[k] += shortcut[k];
      if constexpr (kShortcut == Shortcut::kNormalised) x[k] += side.at(k, shortcut[k]);
      if (a.relu) x[k] = leaky_relu(x[k], 0.0f);
    }
    store_pack<true>(a.y + i, kPackChannels, x);
    if (a.mask != nullptr) a.mask[pack] = positive_bits<T>(x);
  }
}

// Any number of channels, any alignment.
template <class T, Shortcut kShortcut>
__device__ void apply_singles(const Apply<T>& a, size_t thread) {
  for (size_t i = thread * kPackChannels; i < a.count; i += a.step * kPackChannels) {
    const int valid = valid_of_pack(i, a.count);
    size_t channel = i % a.c;
    Pack x;
    load_pack<false>(a.x + i, valid, x);
#pragma unroll
    for (int k = 0; k < kPackChannels; ++k) {
      if (k >= valid) continue;
      x[k] = normalised(a.branch, channel, x[k]);
      if constexpr (kShortcut != Shortcut::kNone) {
        const float shortcut = simt::widen(a.shortcut[i + k]);
        x[k] += kShortcut == Shortcut::kPlain ? shortcut
                                              : normalised(a.shortcut_branch, channel, shortcut);
      }
      if (a.relu) x[k] = leaky_relu(x[k], 0.0f);
      channel = channel + 1 == a.c ? 0 : channel + 1;
    }
    store_pack<false>(a.y + i, valid, x);
    // Beyond the end x holds zeros, which give zero bits.
    if (a.mask != nullptr) a.mask[i / kPackChannels] = positive_bits<T>(x);
  }
}

template <class T, Shortcut kShortcut>
__global__ void __launch_bounds__(PackWalk::kThreads) apply_kernel(Apply<T> a) {
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
