// Order, balance, thinning and flips of samples, as functions of (seed, epoch, sample) alone.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace verace::data {

// Whether the sample is mirrored (left to right) in this epoch; true for half of them.
bool flip_decision(uint64_t seed, int64_t epoch, int64_t sample_index);

struct OrderOptions {
  uint64_t seed = 0;
  int64_t epoch = 0;
  bool shuffle = false;
  bool balanced = false;
  // [samples], or empty: 1 for those of which an epoch shows `thinned_count`; not with balanced
  // (CHECK). They are walked through from epoch to epoch, all before any repetition.
  std::span<const uint8_t> thinned = {};
  int64_t thinned_count = 0;
};

// How many of `count` samples an epoch shows at a share in (0, 1]: rounded, at least one of some.
int64_t thinned_count(int64_t count, double share);

// The sample indices of one epoch, in the order in which they are shown.
// labels: [samples], class 0 or 1 of each sample.
// Not balanced: each sample once (of the thinned ones so many). Balanced: samples / 2 (at least
// one) of each class; each class is walked through from epoch to epoch, all of it before any
// repetition, so that a small class is repeated and a large one is spread over several epochs.
// Classes alternate, then `shuffle` mixes. Throws Error(kInput) if balanced and a class has no
// samples.
std::vector<int64_t> epoch_order(std::span<const int32_t> labels, const OrderOptions& options);

}  // namespace verace::data
