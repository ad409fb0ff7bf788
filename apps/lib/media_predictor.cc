// Judging videos and pictures by the faces that are found in them.
#include "apps/lib/media_predictor.h"

#include <algorithm>
#include <cmath>

#include "data/image.h"
#include "data/picture_name.h"
#include "data/text.h"
#include "data/video_sets/files.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> media_below(const std::string& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    const fs::path& path = entry->path();
    std::error_code ignored;
    if (fs::is_directory(path, ignored)) continue;
    if (data::is_picture_name(path) || data::is_video_name(path)) found.push_back(path);
  }
  if (error) fail_input(text::format("{}: cannot read the folder: {}", folder, error.message()));
  if (found.empty()) {
    fail_input(folder + ": no picture and no video in this folder or below");
  }
  std::ranges::sort(found);
  return found;
}

void append_fitted(const data::Image& picture, const fs::path& path, const data::FitOptions& fit,
                   std::vector<uint8_t>& pixels) {
  const data::Image fitted = data::fit_to_square(picture, fit, path.string());
  pixels.insert(pixels.end(), fitted.rgb.begin(), fitted.rgb.end());
}

double area_of(const data::FaceBox& box) {
  return static_cast<double>(box.width()) * static_cast<double>(box.height());
}

}  // namespace

std::vector<fs::path> expand_media(const std::vector<std::string>& arguments, bool is_video) {
  std::vector<fs::path> paths;
  for (const std::string& argument : arguments) {
    std::error_code error;
    if (is_video || !fs::is_directory(argument, error)) {
      paths.emplace_back(argument);
      continue;
    }
    const std::vector<fs::path> found = media_below(argument);
    paths.insert(paths.end(), found.begin(), found.end());
  }
  return paths;
}

std::vector<double> judge_pixels(std::span<const uint8_t> pixels, const fs::path& path,
                                 InferenceSession& session, const MediaOptions& options) {
  const Answers answers = session.run(pixels);
  std::vector<double> result;
  for (size_t i = 0; i < static_cast<size_t>(answers.count); ++i) {
    const float fake = answers.logits[2 * i + static_cast<size_t>(options.classes.fake)];
    const float real = answers.logits[2 * i + static_cast<size_t>(options.classes.real)];
    if (!std::isfinite(fake) || !std::isfinite(real)) {
      fail_input(data::name_of(path) +
                 ": the network's answer is not a finite number: its weights are broken");
    }
    result.push_back(
        calibrated_probability(static_cast<double>(fake) - real, options.decision.temperature()));
  }
  return result;
}

MediaVerdict judge_media(const fs::path& path, FaceFinder& finder, InferenceSession& session,
                         const MediaOptions& options) {
  const VideoFaces found = find_video_faces(path, finder, options.search);
  MediaVerdict verdict;
  verdict.path = path;
  verdict.is_picture = found.format == kPictureFormat;
  verdict.seconds = found.seconds;
  verdict.frames_in_video = found.frames_in_video;
  verdict.frames_looked_at = found.frames_looked_at;
  verdict.frames_with_faces = found.frames_with_faces;
  verdict.readable = found.readable;
  verdict.shortfall = found.shortfall;
  verdict.damage = found.damage;
  verdict.without_face = found.without_face;
  if (found.faces.empty()) {
    verdict.why_not = found.shortfall;
    return verdict;
  }
  std::vector<uint8_t> pixels;
  for (const FoundFace& face : found.faces) {
    append_fitted(face.crop.image, path, options.fit, pixels);
  }
  const std::vector<double> fakes = judge_pixels(pixels, path, session, options);
  std::vector<FaceAnswer> answers;
  for (size_t i = 0; i < fakes.size(); ++i) {
    const FoundFace& face = found.faces[i];
    verdict.faces.push_back({face.frame, face.seconds, face.in_frame, fakes[i], {}});
    answers.push_back({fakes[i], face.frame, area_of(face.in_frame.box)});
  }
  // A picture of one face is that face, whatever the policy of videos.
  const bool one_face = verdict.is_picture && fakes.size() == 1;
  verdict.fake_probability =
      one_face ? fakes[0] : video_probability(answers, options.decision.policy);
  return verdict;
}

}  // namespace verace::apps
