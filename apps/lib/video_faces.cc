// Reads each video from its beginning, once a round, and converts the chosen frames only.
#include "apps/lib/video_faces.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <utility>

#include "data/face_geometry.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kFillRounds = 4;
// Frames wait for the detector in at most so many bytes: one of 8K has 100 million.
constexpr int64_t kMostWaitingBytes = int64_t{256} << 20;

// Adds the time of its life to a stage.
class Timed {
 public:
  explicit Timed(double& stage) : stage_(stage), begin_(Clock::now()) {}
  ~Timed() { stage_ += std::chrono::duration<double>(Clock::now() - begin_).count(); }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  double& stage_;
  const Clock::time_point begin_;
};

class Search {
 public:
  Search(const std::filesystem::path& video, FaceFinder& finder, const VideoFacesOptions& options,
         const FaceSink& sink)
      : video_(video), finder_(finder), options_(options), sink_(sink) {
    VERACE_CHECK(options.frames >= 1 && options.batch >= 1);
  }

  VideoFaces run() {
    if (!open()) return std::move(result_);
    const data::FrameSourceInfo& info = source_->info();
    result_.readable = true;
    result_.frames_in_video = info.frames;
    result_.seconds = info.seconds;
    result_.format = info.format;
    look_at(data::sample_frames(info.frames, options_.frames, options_.sampling));
    for (int round = 1; options_.fill && round <= kFillRounds && missing() > 0; ++round)
      fill(round);
    finish();
    return std::move(result_);
  }

 private:
  // False: it cannot be read, and the result says why.
  bool open() {
    try {
      const Timed timed(result_.times.decode);
      source_ = open_frames_or_picture(video_, options_.threads);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInput) throw;
      result_.shortfall = error.what();
    }
    return source_ != nullptr;
  }

  int64_t missing() const { return options_.frames - result_.frames_with_faces; }

  // Frames between those that were looked at.
  void fill(int round) {
    std::vector<int64_t> further =
        data::sample_frames(result_.frames_in_video, options_.frames << round, options_.sampling);
    std::erase_if(further, [&](int64_t index) { return seen_.contains(index); });
    if (further.empty() || !open()) return;
    look_at(further);
  }

  void look_at(const std::vector<int64_t>& indices) {
    for (const int64_t index : indices) {
      if (missing() <= 0) break;
      if (!go_to(index)) break;
      if (source_->index() != index) continue;  // left out: damaged
      seen_.insert(index);
      take_frame();
      const auto waiting = static_cast<int64_t>(frames_.size());
      // Not more at once than are still wanted: how many are looked at must not depend on `batch`.
      const bool enough = waiting >= std::min(options_.batch, missing());
      const int64_t bytes = static_cast<int64_t>(frames_.back().rgb.size()) * (waiting + 1);
      if (enough || bytes > kMostWaitingBytes) detect();
    }
    detect();
    note_damage(source_->damage());
  }

  // False: the video has ended before.
  bool go_to(int64_t index) {
    const Timed timed(result_.times.decode);
    try {
      if (source_->index() >= index && at_frame_) return true;
      at_frame_ = source_->advance_to(index);
      return at_frame_;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInput) throw;
      note_damage(error.what());
      return false;
    }
  }

  void take_frame() {
    const Timed timed(result_.times.convert);
    frames_.push_back(source_->image());
    places_.push_back({source_->index(), source_->seconds()});
  }

  void detect() {
    if (frames_.empty()) return;
    std::vector<std::vector<data::DetectedFace>> found;
    {
      const Timed timed(result_.times.detect);
      found = finder_.find(frames_);
    }
    VERACE_CHECK(found.size() == frames_.size());
    const Timed timed(result_.times.crop);
    for (size_t i = 0; i < frames_.size(); ++i) take_faces(frames_[i], places_[i], found[i]);
    frames_.clear();
    places_.clear();
  }

  struct Place {
    int64_t index = 0;
    double seconds = 0;
  };

  void take_faces(const data::Image& frame, const Place& place,
                  std::vector<data::DetectedFace>& faces) {
    ++result_.frames_looked_at;
    std::erase_if(faces, [&](const data::DetectedFace& face) {
      return !data::can_crop(frame, face, options_.crop);
    });
    if (faces.empty()) {
      result_.without_face.push_back(place.index);
      return;
    }
    ++result_.frames_with_faces;
    data::sort_by_area(faces);
    if (!options_.all_faces) faces.resize(1);
    for (size_t i = 0; i < faces.size(); ++i) {
      FoundFace found{place.index, place.seconds, static_cast<int64_t>(i), faces[i],
                      data::crop_face(frame, faces[i], options_.crop)};
      if (sink_) sink_(found);
      result_.faces.push_back(std::move(found));
    }
  }

  void note_damage(const std::string& damage) {
    if (!damage.empty() && result_.damage.empty()) result_.damage = one_line(damage);
  }

  void finish() {
    std::stable_sort(result_.faces.begin(), result_.faces.end(),
                     [](const FoundFace& a, const FoundFace& b) { return a.frame < b.frame; });
    std::sort(result_.without_face.begin(), result_.without_face.end());
    result_.shortfall = shortfall();
    // What could not be decoded at all cannot be judged, and is not a video without faces.
    if (result_.frames_looked_at == 0) result_.readable = false;
  }

  std::string shortfall() const {
    const VideoFaces& r = result_;
    if (missing() <= 0) return "";
    if (r.frames_looked_at == 0) {
      return text::format("{}: no frame could be decoded{}", one_line(video_.string()),
                          r.damage.empty() ? "" : " (" + r.damage + ")");
    }
    std::vector<std::string> parts;
    const int64_t wanted = options_.frames;
    if (r.frames_in_video < wanted && r.format != kPictureFormat) {
      parts.push_back(text::format("the video has {} of {} frames", r.frames_in_video, wanted));
    }
    const int64_t chosen = std::min(wanted, r.frames_in_video);
    if (r.frames_looked_at < chosen) {
      parts.push_back(text::format("{} of {} frames could not be decoded",
                                   chosen - r.frames_looked_at, chosen));
    }
    if (r.frames_with_faces == 0) {
      parts.push_back(text::format("no face found in {} {}", r.frames_looked_at,
                                   r.frames_looked_at == 1 ? "frame" : "frames"));
    } else if (!r.without_face.empty()) {
      parts.push_back(
          text::format("no face in {} of {} frames", r.without_face.size(), r.frames_looked_at));
    }
    return text::join(parts, "; ");
  }

  const std::filesystem::path& video_;
  FaceFinder& finder_;
  const VideoFacesOptions& options_;
  const FaceSink& sink_;

  std::unique_ptr<data::FrameSource> source_;
  bool at_frame_ = false;  // of source_: advance() has been true
  std::set<int64_t> seen_;
  std::vector<data::Image> frames_;  // wait for the detector
  std::vector<Place> places_;        // of frames_
  VideoFaces result_;
};

}  // namespace

VideoFaces find_video_faces(const std::filesystem::path& video, FaceFinder& finder,
                            const VideoFacesOptions& options, const FaceSink& sink) {
  return Search(video, finder, options, sink).run();
}

}  // namespace verace::apps
