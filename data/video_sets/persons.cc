// A local search for splits of persons.
#include "data/video_sets/persons.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <set>

namespace verace::data {
namespace {

constexpr size_t kSplits = 3;
constexpr uint64_t kStarts = 8;
constexpr size_t kMostSwapped = 1500;  // units; with more, only moves: swaps are pairs
constexpr int kMostPasses = 100;
constexpr double kEnough = 1e-9;  // an improvement that is more than rounding

// What moves together: a person, or several who are joined among themselves alone.
using Units = std::vector<std::vector<size_t>>;

class Search {
 public:
  Search(const std::vector<PersonVideos>& videos, const Shares& shares) : shares_(shares) {
    std::map<std::string, size_t> index;
    for (const PersonVideos& item : videos) {
      for (const std::string& person : item.persons) index.emplace(person, 0);
    }
    for (auto& [person, place] : index) {
      place = names_.size();
      names_.push_back(person);
    }
    for (const PersonVideos& item : videos) {
      std::set<size_t> persons;
      for (const std::string& person : item.persons) persons.insert(index.at(person));
      items_.push_back({{persons.begin(), persons.end()}, item.videos});
      for (size_t label = 0; label < total_.size(); ++label) total_[label] += item.videos[label];
    }
    make_units();
  }

  std::map<std::string, Split> best(uint64_t seed) {
    double least = std::numeric_limits<double>::infinity();
    std::vector<size_t> best(names_.size(), 0);
    for (uint64_t start = 0; start < kStarts; ++start) {
      begin(seed + start * 0x9E3779B97F4A7C15U);
      for (int pass = 0; pass < kMostPasses && (move_all() || swap_all()); ++pass) {
      }
      if (cost() < least - kEnough) {
        least = cost();
        best = split_;
      }
    }
    std::map<std::string, Split> result;
    for (size_t person = 0; person < names_.size(); ++person) {
      result.emplace(names_[person], static_cast<Split>(best[person]));
    }
    return result;
  }

 private:
  struct Item {
    std::vector<size_t> persons;
    VideoCounts videos;
  };

  // Persons who are joined stay together where their videos are few; where nearly all are joined,
  // as in Celeb-DF, each person moves alone.
  void make_units() {
    Unions unions(names_.size());
    for (const Item& item : items_) {
      for (const size_t person : item.persons) unions.join(item.persons.front(), person);
    }
    std::map<size_t, std::vector<size_t>> members;
    for (size_t person = 0; person < names_.size(); ++person) {
      members[unions.find(person)].push_back(person);
    }
    std::map<size_t, VideoCounts> sizes;
    for (const Item& item : items_) {
      VideoCounts& size = sizes[unions.find(item.persons.front())];
      for (size_t label = 0; label < size.size(); ++label) size[label] += item.videos[label];
    }
    double least_share = 1;
    for (const double share : shares_) {
      if (share > 0) least_share = std::min(least_share, share);
    }
    for (const auto& [root, persons] : members) {
      double largest = 0;  // of its parts of the classes
      for (size_t label = 0; label < total_.size(); ++label) {
        if (total_[label] == 0) continue;
        largest = std::max(
            largest, static_cast<double>(sizes[root][label]) / static_cast<double>(total_[label]));
      }
      if (largest <= least_share / 2) {
        units_.push_back(persons);
      } else {
        for (const size_t person : persons) units_.push_back({person});
      }
    }
    items_of_.resize(units_.size());
    unit_of_.resize(names_.size());
    for (size_t unit = 0; unit < units_.size(); ++unit) {
      for (const size_t person : units_[unit]) unit_of_[person] = unit;
    }
    for (size_t i = 0; i < items_.size(); ++i) {
      std::set<size_t> touched;
      for (const size_t person : items_[i].persons) touched.insert(unit_of_[person]);
      for (const size_t unit : touched) items_of_[unit].push_back(i);
    }
  }

  void begin(uint64_t seed) {
    // By the videos of one person, half of those of two.
    std::vector<VideoGroup> groups(units_.size());
    for (size_t unit = 0; unit < units_.size(); ++unit) {
      groups[unit].name = names_[units_[unit].front()];
      for (const size_t i : items_of_[unit]) {
        for (size_t label = 0; label < total_.size(); ++label) {
          groups[unit].videos[label] += items_[i].videos[label];
        }
      }
    }
    const std::vector<Split> splits = divide(groups, shares_, seed);
    split_.assign(names_.size(), 0);
    for (size_t unit = 0; unit < units_.size(); ++unit) {
      for (const size_t person : units_[unit]) split_[person] = static_cast<size_t>(splits[unit]);
    }
    kept_ = {};
    for (const Item& item : items_) count(item, 1);
    std::vector<std::string> names;
    for (const VideoGroup& group : groups) names.push_back(group.name);
    order_ = seeded_order(names, seed + 1);
  }

  void count(const Item& item, int64_t sign) {
    const size_t split = split_[item.persons.front()];
    for (const size_t person : item.persons) {
      if (split_[person] != split) return;
    }
    for (size_t label = 0; label < total_.size(); ++label) {
      kept_[split][label] += sign * item.videos[label];
    }
  }

  void place(size_t unit, size_t split) {
    for (const size_t i : items_of_[unit]) count(items_[i], -1);
    for (const size_t person : units_[unit]) split_[person] = split;
    for (const size_t i : items_of_[unit]) count(items_[i], 1);
  }

  // The part that is lost, and the distance of what is kept from the shares (as chi-square: a
  // missing hundredth weighs more in a small share), class by class.
  double cost() const {
    constexpr double kDistanceWeight = 4;
    double sum = 0;
    for (size_t label = 0; label < total_.size(); ++label) {
      if (total_[label] == 0) continue;
      double kept = 0;
      for (const auto& split : kept_) kept += static_cast<double>(split[label]);
      sum += 1 - kept / static_cast<double>(total_[label]);
      for (size_t split = 0; split < kSplits; ++split) {
        const double here = static_cast<double>(kept_[split][label]);
        if (shares_[split] <= 0) continue;
        if (here == 0) sum += 1;  // a split without a class is of no use
        const double off = (kept > 0 ? here / kept : 0) - shares_[split];
        sum += kDistanceWeight * off * off / shares_[split];
      }
    }
    return sum;
  }

  bool move_all() {
    bool improved = false;
    double now = cost();
    for (const size_t unit : order_) {
      const size_t from = split_[units_[unit].front()];
      size_t best = from;
      for (size_t to = 0; to < kSplits; ++to) {
        if (to == from || shares_[to] <= 0) continue;
        place(unit, to);
        if (cost() < now - kEnough) {
          now = cost();
          best = to;
        }
      }
      place(unit, best);
      improved |= best != from;
    }
    return improved;
  }

  bool swap_all() {
    if (units_.size() > kMostSwapped) return false;
    bool improved = false;
    double now = cost();
    for (const size_t a : order_) {
      for (const size_t b : order_) {
        const size_t split_a = split_[units_[a].front()];
        const size_t split_b = split_[units_[b].front()];
        if (split_a >= split_b) continue;
        place(a, split_b);
        place(b, split_a);
        if (cost() < now - kEnough) {
          now = cost();
          improved = true;
        } else {
          place(b, split_b);
          place(a, split_a);
        }
      }
    }
    return improved;
  }

  Shares shares_;
  std::vector<std::string> names_;  // of persons
  std::vector<Item> items_;
  VideoCounts total_{};
  Units units_;
  std::vector<size_t> unit_of_;                // [person]
  std::vector<std::vector<size_t>> items_of_;  // [unit]
  std::vector<size_t> order_;
  std::vector<size_t> split_;                           // [person]
  std::array<std::array<int64_t, 3>, kSplits> kept_{};  // [split][class]
};

}  // namespace

std::map<std::string, Split> divide_persons(const std::vector<PersonVideos>& videos,
                                            const Shares& shares, uint64_t seed) {
  if (videos.empty()) return {};
  return Search(videos, shares).best(seed);
}

}  // namespace verace::data
