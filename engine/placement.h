// Placing buffers with known lifetimes in one block of memory.
#pragma once

#include <cstdint>
#include <vector>

namespace verace::engine {

// A buffer of `bytes` that lives from time `first` to `last`, both included.
struct Lifetime {
  int64_t bytes = 0;
  int32_t first = 0, last = 0;
};

struct Placement {
  std::vector<int64_t> offsets;  // multiples of kAlignment, one per lifetime
  int64_t bytes = 0;             // size of the block
};

// Offsets such that buffers that live at the same time never overlap: the largest first, each at
// the lowest place that is free during its life (greedy by size, Pisarchyk & Lee 2020, arXiv
// 2001.03288, section 5.2).
Placement place(const std::vector<Lifetime>& lifetimes);

}  // namespace verace::engine
