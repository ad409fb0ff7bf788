// Finds what stands in two splits. For data/dataset.cc.
#pragma once

#include <span>
#include <string>

#include "data/dataset.h"

namespace verace::data {

// One line that names the first picture, video or identity found in two splits and counts all of
// them; empty if there is none.
std::string describe_leaks(std::span<const Sample> samples);

}  // namespace verace::data
