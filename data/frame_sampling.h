// Which frames of a video are looked at.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace verace::data {

enum class Sampling { kMaxStride, kSequential, kLinspace };
inline constexpr std::array<const char*, 3> kSamplingNames = {"max-stride", "sequential",
                                                              "linspace"};

// Indices, ascending and distinct, of `wanted` (>= 1) of a video's `frames` (>= 0) frames; all of
// them where there are no more than that.
//
//   max-stride   s*k with s = floor(frames / wanted): the widest steps, as in the report of 2021
//   sequential   0, 1, 2, ...
//   linspace     trunc(k * (frames - 1) / (wanted - 1)): first and last frame included, the usual
//                rule of the field (numpy.linspace with integers); one frame: 0
std::vector<int64_t> sample_frames(int64_t frames, int64_t wanted, Sampling sampling);

}  // namespace verace::data
