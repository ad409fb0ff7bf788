// Pseudo-fakes as samples of a data set.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace verace::data {

// The name of the fake video to which pseudo-fakes of a real one belong.
std::string pseudo_fake_video(const std::string& real_video);
// What both share of whom they show: the real sample's identity, or where that is unknown its
// video's name. With it in both, a leak between splits is found by the check of identities.
std::string pseudo_fake_identity(const Sample& real);

// Of a real sample with landmarks (CHECK): its pseudo-fake, of the same picture and split.
Sample pseudo_fake_of(const Sample& real);

struct PseudoFakesAdded {
  int64_t added = 0;
  int64_t without_landmarks = 0;  // real samples of which none can be made
};

// Appends the pseudo-fake of each real sample of the split that has landmarks.
PseudoFakesAdded add_pseudo_fakes(Dataset& dataset, Split split);

}  // namespace verace::data
