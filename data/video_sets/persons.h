// Dividing persons among splits where fakes join two of them. For data/video_splits.cc.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/video_sets/grouping.h"

namespace verace::data {

// Videos of the same persons.
struct PersonVideos {
  std::vector<std::string> persons;  // one or more
  VideoCounts videos{};
};

// The split of every person. Videos whose persons came into different splits are lost: the division
// sought loses few of them while the others come near the shares, class by class (a local search
// from several starts: persons move and change places while that helps).
std::map<std::string, Split> divide_persons(const std::vector<PersonVideos>& videos,
                                            const Shares& shares, uint64_t seed);

}  // namespace verace::data
