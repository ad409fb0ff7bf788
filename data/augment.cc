// Fisher-Yates on counter-based random numbers; the balanced walk through both classes.
#include "data/augment.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "data/dataset.h"
#include "engine/rng.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data {
namespace {

// Streams of the run's seed that belong to data/. The top byte keeps them apart from each other and
// from the rest of the program, the rest is the epoch or round.
enum class Purpose : uint64_t { kFlip = 0xD0, kOrder = 0xD1, kClassWalk = 0xD2, kThinWalk = 0xDB };

engine::Philox generator(uint64_t seed, Purpose purpose, int64_t round) {
  VERACE_CHECK(round >= 0);
  return engine::Philox(seed, static_cast<uint64_t>(purpose) << 56 | static_cast<uint64_t>(round));
}

void shuffle(std::vector<int64_t>& items, const engine::Philox& rng) {
  for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[rng.below(i, i)]);
}

// Which numbers shuffle the rounds of a walk: those of purpose and first, first + step, ...
struct WalkStream {
  Purpose purpose;
  int64_t first = 0, step = 1;
};

// The part of some samples that is shown in an epoch: `count` members from where the epoch before
// ended.
std::vector<int64_t> walk_on(const std::vector<int64_t>& members, const WalkStream& stream,
                             int64_t count, const OrderOptions& options) {
  const auto size = static_cast<int64_t>(members.size());
  std::vector<int64_t> walk;
  std::vector<int64_t> round_members;
  int64_t current_round = -1;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t position = options.epoch * count + i;
    const int64_t round = position / size;
    if (round != current_round) {
      current_round = round;
      round_members = members;
      if (options.shuffle) {
        shuffle(round_members,
                generator(options.seed, stream.purpose, round * stream.step + stream.first));
      }
    }
    walk.push_back(round_members[static_cast<size_t>(position % size)]);
  }
  return walk;
}

std::vector<int64_t> balanced_order(std::span<const int32_t> labels, const OrderOptions& options) {
  const int64_t count = std::max<int64_t>(static_cast<int64_t>(labels.size()) / 2, 1);
  std::array<std::vector<int64_t>, 2> walks;
  for (int32_t label = 0; label < 2; ++label) {
    std::vector<int64_t> members;
    for (size_t i = 0; i < labels.size(); ++i) {
      if (labels[i] == label) members.push_back(static_cast<int64_t>(i));
    }
    if (members.empty()) {
      fail_input(
          text::format("balanced sampling needs both classes, but there are no pictures of "
                       "class {}; add some or switch balancing off",
                       kClassNames[static_cast<size_t>(label)]));
    }
    walks[static_cast<size_t>(label)] =
        walk_on(members, {Purpose::kClassWalk, label, 2}, count, options);
  }
  std::vector<int64_t> order;
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    order.push_back(walks[0][i]);
    order.push_back(walks[1][i]);
  }
  return order;
}

// All but the thinned samples, and so many of those.
std::vector<int64_t> thinned_order(size_t samples, const OrderOptions& options) {
  VERACE_CHECK(!options.balanced && options.thinned.size() == samples);
  std::vector<int64_t> order, thinned;
  for (size_t i = 0; i < samples; ++i) {
    (options.thinned[i] != 0 ? thinned : order).push_back(static_cast<int64_t>(i));
  }
  if (thinned.empty()) return order;
  const auto walk = walk_on(thinned, {Purpose::kThinWalk}, options.thinned_count, options);
  order.insert(order.end(), walk.begin(), walk.end());
  return order;
}

}  // namespace

bool flip_decision(uint64_t seed, int64_t epoch, int64_t sample_index) {
  const auto counter = static_cast<uint64_t>(sample_index);
  return generator(seed, Purpose::kFlip, epoch).block(counter)[0] >> 31 != 0;
}

int64_t thinned_count(int64_t count, double share) {
  const auto rounded = static_cast<int64_t>(static_cast<double>(count) * share + 0.5);
  return std::clamp<int64_t>(rounded, std::min<int64_t>(count, 1), count);
}

std::vector<int64_t> epoch_order(std::span<const int32_t> labels, const OrderOptions& options) {
  std::vector<int64_t> order;
  if (!options.thinned.empty()) {
    order = thinned_order(labels.size(), options);
  } else if (options.balanced) {
    order = balanced_order(labels, options);
  } else {
    order.resize(labels.size());
    std::iota(order.begin(), order.end(), int64_t{0});
  }
  if (options.shuffle) shuffle(order, generator(options.seed, Purpose::kOrder, options.epoch));
  return order;
}

}  // namespace verace::data
