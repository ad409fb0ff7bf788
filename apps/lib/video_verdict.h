// From the probabilities of a video's faces to one of the video: policies.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "apps/lib/metrics.h"

namespace verace::apps {

// How faces are judged together.
//   mean       their mean.
//   median     their median; of an even number the mean of the middle two.
//   majority   the share of faces that are fake (is_fake at VideoPolicy::face_threshold).
//   confident  the "confident strategy" of the winner of the Deepfake Detection Challenge
//   (Seferbekov
//              2020): if more than 11 faces and more than 40 % of them are above 0.8, the mean of
//              those; else if more than 90 % are below 0.2, the mean of those; else the mean of
//              all.
enum class Policy : uint8_t { kMean, kMedian, kMajority, kConfident };
inline constexpr std::array<const char*, 4> kPolicyNames{"mean", "median", "majority", "confident"};

// What several faces of one frame count: each by itself, or all together as much as the most
// suspicious of them (in a crowd one face is swapped, not all), small ones in the background left
// out: faces with less than half of the area of the frame's largest, as the inference of
// self-blended images does (Shiohara and Yamasaki 2022).
enum class PerFrame : uint8_t { kEach, kMaximum };
inline constexpr std::array<const char*, 2> kPerFrameNames{"each", "max"};

struct VideoPolicy {
  Policy policy = Policy::kMean;
  PerFrame per_frame = PerFrame::kEach;
  double face_threshold = kFakeThreshold;  // kMajority's

  // The same question, whatever face_threshold is.
  bool same_kind(const VideoPolicy& other) const {
    return policy == other.policy && per_frame == other.per_frame;
  }
};
// "the mean of their faces", for "videos, by ...".
std::string policy_text(const VideoPolicy& policy);

// A judged face of a video.
struct FaceAnswer {
  double probability = 0;  // of being fake
  int64_t frame = -1;      // in which it was found; negative: unknown, then a frame of its own
  double area = 0;         // of its box in that frame; 0: unknown, then large enough
};

// The video's probability of being fake; nothing for no faces: who has seen no face knows nothing,
// which is not the same as 0.5. Throws Error(kInternal) for a probability that is not a number from
// 0 to 1.
std::optional<double> video_probability(std::span<const FaceAnswer> faces,
                                        const VideoPolicy& policy = {});

// One face's verdict, for aggregate_videos.
struct FaceScore {
  std::string video;
  int32_t label = 0;
  double probability = 0;  // of being fake
  int64_t frame = -1;      // as FaceAnswer's
};

// Several faces judged together.
struct VideoScore {
  std::string video;
  int32_t label = 0;
  int64_t faces = 0;
  double probability = 0;  // by the policy
};

// One entry per video, in the order of first appearance. Throws Error(kInput) naming a video whose
// faces have both labels.
std::vector<VideoScore> aggregate_videos(std::span<const FaceScore> faces,
                                         const VideoPolicy& policy = {});
Metrics compute_metrics(std::span<const VideoScore> videos, double threshold = kFakeThreshold);

}  // namespace verace::apps
