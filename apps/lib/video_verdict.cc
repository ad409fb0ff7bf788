// Judging the faces of a video together.
#include "apps/lib/video_verdict.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "kernels/check.h"

namespace verace::apps {
namespace {

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double middle_of(std::vector<double> values) {
  std::ranges::sort(values);
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double share_of_fakes(const std::vector<double>& values, double threshold) {
  const auto fakes = std::ranges::count_if(values, [&](double p) { return is_fake(p, threshold); });
  return static_cast<double>(fakes) / static_cast<double>(values.size());
}

double confident(const std::vector<double>& values) {
  std::vector<double> high, low;
  for (const double value : values) {
    if (value > 0.8) high.push_back(value);
    if (value < 0.2) low.push_back(value);
  }
  // Shares in whole numbers: 0.4 * 30 is not 12.
  if (high.size() > 11 && 10 * high.size() > 4 * values.size()) return mean(high);
  return 10 * low.size() > 9 * values.size() ? mean(low) : mean(values);
}

// The most suspicious large face of each frame, in the order of the frames' first faces.
std::vector<double> maxima(std::span<const FaceAnswer> faces) {
  std::map<int64_t, double> largest;
  for (const FaceAnswer& face : faces) {
    double& area = largest.try_emplace(face.frame, 0).first->second;
    area = std::max(area, face.area);
  }
  std::vector<double> values;
  std::map<int64_t, size_t> place;
  for (const FaceAnswer& face : faces) {
    if (face.frame < 0) {
      values.push_back(face.probability);
      continue;
    }
    if (face.area > 0 && face.area < largest[face.frame] / 2) continue;
    const auto [at, added] = place.try_emplace(face.frame, values.size());
    if (added) values.push_back(face.probability);
    double& value = values[at->second];
    value = std::max(value, face.probability);
  }
  return values;
}

}  // namespace

std::string policy_text(const VideoPolicy& policy) {
  std::string text = "the ";
  switch (policy.policy) {
    case Policy::kMean:
      text += "mean";
      break;
    case Policy::kMedian:
      text += "median";
      break;
    case Policy::kMajority:
      text += "share of fakes";
      break;
    case Policy::kConfident:
      text += "mean of the confident ones";
      break;
  }
  return text + (policy.policy == Policy::kMajority ? " among" : " of") +
         (policy.per_frame == PerFrame::kMaximum ? " each frame's most suspicious face"
                                                 : " their faces");
}

std::optional<double> video_probability(std::span<const FaceAnswer> faces,
                                        const VideoPolicy& policy) {
  for (const FaceAnswer& face : faces) {
    VERACE_CHECK(face.probability >= 0 && face.probability <= 1,
                 "a probability must be a number from 0 to 1");
  }
  if (faces.empty()) return std::nullopt;
  std::vector<double> values;
  if (policy.per_frame == PerFrame::kMaximum) {
    values = maxima(faces);
  } else {
    for (const FaceAnswer& face : faces) values.push_back(face.probability);
  }
  switch (policy.policy) {
    case Policy::kMean:
      return mean(values);
    case Policy::kMedian:
      return middle_of(std::move(values));
    case Policy::kMajority:
      return share_of_fakes(values, policy.face_threshold);
    case Policy::kConfident:
      return confident(values);
  }
  fail_check("policy is in its enum", __FILE__, __LINE__, "");
}

std::vector<VideoScore> aggregate_videos(std::span<const FaceScore> faces,
                                         const VideoPolicy& policy) {
  std::vector<VideoScore> videos;
  std::vector<std::vector<FaceAnswer>> answers;
  std::unordered_map<std::string, size_t> index;
  for (const FaceScore& face : faces) {
    const auto [place, added] = index.try_emplace(face.video, videos.size());
    if (added) {
      videos.push_back({face.video, face.label, 0, 0});
      answers.emplace_back();
    }
    if (videos[place->second].label != face.label) {
      fail_input("video '" + face.video +
                 "' has faces of both labels: give each video one label in the data set");
    }
    answers[place->second].push_back({face.probability, face.frame, 0});
  }
  for (size_t i = 0; i < videos.size(); ++i) {
    videos[i].faces = static_cast<int64_t>(answers[i].size());
    videos[i].probability = video_probability(answers[i], policy).value();
  }
  return videos;
}

Metrics compute_metrics(std::span<const VideoScore> videos, double threshold) {
  std::vector<double> probabilities;
  std::vector<int32_t> labels;
  for (const VideoScore& video : videos) {
    probabilities.push_back(video.probability);
    labels.push_back(video.label);
  }
  return compute_metrics(probabilities, labels, threshold);
}

}  // namespace verace::apps
