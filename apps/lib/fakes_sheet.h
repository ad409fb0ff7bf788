// A sheet of pseudo-fakes for looking at: real, mask and fake beside each other.
#pragma once

#include <cstdint>

#include "data/image.h"
#include "data/pseudo_fakes/pseudo_fake.h"

namespace verace::apps {

class FakesSheet {
 public:
  // Of so many triples at most: three to a row.
  explicit FakesSheet(int64_t most = 24) : most_(most) {}

  bool full() const { return static_cast<int64_t>(tiles_.size()) >= 3 * most_; }
  // The face and what lies round it, in tiles of one size; white where the source is in full.
  void add(const data::Image& real, const data::PseudoFake& fake);
  bool empty() const { return tiles_.empty(); }
  data::Image image() const;

 private:
  int64_t most_;
  std::vector<data::Image> tiles_;
};

}  // namespace verace::apps
