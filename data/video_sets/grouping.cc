// Union-find, seeded orders, and a greedy division by shares.
#include "data/video_sets/grouping.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "engine/rng.h"

namespace verace::data {

Unions::Unions(size_t size) : parent_(size) { std::iota(parent_.begin(), parent_.end(), 0); }

size_t Unions::add() {
  parent_.push_back(parent_.size());
  return parent_.size() - 1;
}

size_t Unions::find(size_t element) {
  while (parent_[element] != element) {
    parent_[element] = parent_[parent_[element]];
    element = parent_[element];
  }
  return element;
}

void Unions::join(size_t a, size_t b) {
  a = find(a);
  b = find(b);
  parent_[std::max(a, b)] = std::min(a, b);
}

std::vector<size_t> seeded_order(const std::vector<std::string>& names, uint64_t seed) {
  std::vector<std::pair<std::array<uint32_t, 4>, size_t>> keys;
  for (size_t i = 0; i < names.size(); ++i) {
    keys.emplace_back(engine::Philox(seed, engine::stream_of(names[i])).block(0), i);
  }
  // Equal keys only for equal names.
  std::sort(keys.begin(), keys.end());
  std::vector<size_t> order;
  for (const auto& [key, index] : keys) order.push_back(index);
  return order;
}

std::vector<Split> divide(const std::vector<VideoGroup>& groups, const Shares& shares,
                          uint64_t seed) {
  VideoCounts total{};
  std::vector<std::string> names;
  for (const VideoGroup& group : groups) {
    names.push_back(group.name);
    for (size_t label = 0; label < total.size(); ++label) total[label] += group.videos[label];
  }
  std::array<std::array<double, 3>, 3> missing{};  // [split][class], in videos
  for (size_t split = 0; split < missing.size(); ++split) {
    for (size_t label = 0; label < total.size(); ++label) {
      const double wanted = shares[split] * static_cast<double>(total[label]);
      missing[split][label] = shares[split] > 0 && total[label] > 0 ? std::max(wanted, 1.0) : 0;
    }
  }
  std::vector<Split> result(groups.size(), Split::kTrain);
  for (const size_t index : seeded_order(names, seed)) {
    const VideoCounts& videos = groups[index].videos;
    size_t best = 0;
    double best_need = 0;
    bool has_best = false;
    // Of equal needs the later split's: test and val are small, and must not stay empty.
    for (size_t split = missing.size(); split-- > 0;) {
      if (shares[split] <= 0) continue;
      double need = 0;
      for (size_t label = 0; label < total.size(); ++label) {
        if (total[label] == 0) continue;
        // In parts of the class, so that the rarer class counts as much.
        need += missing[split][label] * static_cast<double>(videos[label]) /
                static_cast<double>(total[label]);
      }
      if (has_best && need <= best_need) continue;
      best = split;
      best_need = need;
      has_best = true;
    }
    result[index] = static_cast<Split>(best);
    for (size_t label = 0; label < total.size(); ++label) {
      missing[best][label] -= static_cast<double>(videos[label]);
    }
  }
  return result;
}

}  // namespace verace::data
