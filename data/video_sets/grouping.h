// Dividing groups of videos among splits by shares. For data/video_splits.cc.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace verace::data {

using Shares = std::array<double, 3>;        // of train, val, test
using VideoCounts = std::array<int64_t, 3>;  // real, fake, unknown

// What stays together.
struct VideoGroup {
  std::string name;  // decides, with the seed, when its turn is
  VideoCounts videos{};
};

// Sets that grow together: each element starts as a set of its own.
class Unions {
 public:
  explicit Unions(size_t size);
  size_t add();  // one more element
  size_t find(size_t element);
  // The set keeps the smaller of the two representatives.
  void join(size_t a, size_t b);

 private:
  std::vector<size_t> parent_;
};

// The positions of the names in an order that depends on the seed and the names alone.
std::vector<size_t> seeded_order(const std::vector<std::string>& names, uint64_t seed);

// The split of each group: group after group, in seeded order, goes where most is missing of the
// classes that it brings. Every split with a share aims at one video of each class at least.
std::vector<Split> divide(const std::vector<VideoGroup>& groups, const Shares& shares,
                          uint64_t seed);

}  // namespace verace::data
