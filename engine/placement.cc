// Greedy placement by size.
#include "engine/placement.h"

#include <algorithm>
#include <numeric>

#include "engine/memory.h"
#include "kernels/check.h"

namespace verace::engine {
namespace {

struct Placed {
  int64_t begin, end;
};

// The lowest offset where `bytes` fit between the occupied ranges.
int64_t lowest_gap(std::vector<Placed>& occupied, int64_t bytes) {
  std::sort(occupied.begin(), occupied.end(),
            [](const Placed& a, const Placed& b) { return a.begin < b.begin; });
  int64_t candidate = 0;
  for (const Placed& range : occupied) {
    if (candidate + bytes <= range.begin) break;
    candidate = std::max(candidate, range.end);
  }
  return candidate;
}

}  // namespace

Placement place(const std::vector<Lifetime>& lifetimes) {
  std::vector<size_t> order(lifetimes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return lifetimes[a].bytes > lifetimes[b].bytes; });
  Placement result;
  result.offsets.assign(lifetimes.size(), 0);
  for (size_t i = 0; i < order.size(); ++i) {
    const Lifetime& life = lifetimes[order[i]];
    VERACE_CHECK(life.bytes >= 0 && life.first <= life.last);
    std::vector<Placed> occupied;
    for (size_t j = 0; j < i; ++j) {
      const Lifetime& other = lifetimes[order[j]];
      if (other.first <= life.last && life.first <= other.last) {
        const int64_t begin = result.offsets[order[j]];
        occupied.push_back({begin, begin + align_up(other.bytes)});
      }
    }
    const int64_t bytes = align_up(life.bytes);
    const int64_t offset = lowest_gap(occupied, bytes);
    result.offsets[order[i]] = offset;
    result.bytes = std::max(result.bytes, offset + bytes);
  }
  return result;
}

}  // namespace verace::engine
