// Pictures to faces: sizes, batches, plans.
#include "apps/lib/face_detector.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "apps/lib/face_decoding.h"
#include "apps/lib/face_weights.h"
#include "data/resample.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

using data::DetectedFace;
using data::Image;

struct Size {
  int64_t height = 0, width = 0;
  auto operator<=>(const Size&) const = default;
};

// Pixels that go through the network at once, at most: where pictures are larger, fewer of them.
constexpr int64_t kMostPixels = int64_t{16} << 20;

// Plans of the sizes that were met last: each owns a copy of the prepared weights.
class FacePlans {
 public:
  FacePlans(const layers::RetinaFace& network, const kernels::Exec& exec)
      : network_(network), exec_(exec) {}

  // Holds until the next call.
  layers::RetinaFaceStep& at(int64_t n, const Size& size) {
    const auto found = std::ranges::find_if(
        entries_, [&](const Entry& entry) { return entry.n == n && entry.size == size; });
    if (found != entries_.end()) {
      std::rotate(found, found + 1, entries_.end());
      return *entries_.back().step;
    }
    if (entries_.size() == kMost) entries_.erase(entries_.begin());
    entries_.push_back({n, size,
                        std::make_unique<layers::RetinaFaceStep>(
                            network_.plan(exec_, arena_, n, size.height, size.width))});
    return *entries_.back().step;
  }

 private:
  static constexpr size_t kMost = 6;
  struct Entry {
    int64_t n;
    Size size;
    std::unique_ptr<layers::RetinaFaceStep> step;
  };
  const layers::RetinaFace& network_;
  kernels::Exec exec_;
  std::shared_ptr<engine::Arena> arena_ = std::make_shared<engine::Arena>();
  std::vector<Entry> entries_;  // last used last
};

void check_detector_options(const FaceDetectorOptions& o) {
  const auto between = [](double v, double low, double high) { return v >= low && v <= high; };
  if (!between(o.score_threshold, 0, 1)) {
    fail_input(text::format("face detector: a score threshold of {:g} is asked for: use 0 to 1",
                            o.score_threshold));
  }
  if (!between(o.nms_threshold, 0, 1)) {
    fail_input(text::format("face detector: an overlap threshold of {:g} is asked for: use 0 to 1",
                            o.nms_threshold));
  }
  if (o.long_side < 0 || o.long_side > data::kMaxImageSide) {
    fail_input(text::format(
        "face detector: a long side of {} pixels is asked for: use up to {}, or 0 for pictures as "
        "they are",
        o.long_side, data::kMaxImageSide));
  }
  if (!(o.min_size >= 0)) {
    fail_input(text::format("face detector: faces from {:g} pixels are asked for: use 0 or more",
                            o.min_size));
  }
  if (o.batch < 1 || o.batch > 1024) {
    fail_input(text::format("face detector: batches of {} are asked for: use 1 to 1024", o.batch));
  }
}

class Detector final : public FaceFinder {
 public:
  Detector(LoadedFaceNetwork loaded, const std::string& path, const kernels::Exec& exec,
           const FaceDetectorOptions& options)
      : loaded_(std::move(loaded)),
        path_(path),
        options_(options),
        decoding_{loaded_.anchors, options.score_threshold, options.nms_threshold,
                  options.min_size},
        plans_(*loaded_.network, exec) {
    loaded_.network->table().move_to(engine::memory_of(exec));
  }

  std::vector<std::vector<DetectedFace>> find(std::span<const Image> pictures) override {
    std::map<Size, std::vector<size_t>> by_size;
    for (size_t i = 0; i < pictures.size(); ++i) by_size[network_size(pictures[i])].push_back(i);
    std::vector<std::vector<DetectedFace>> faces(pictures.size());
    for (const auto& [size, group] : by_size) {
      const auto most = static_cast<size_t>(
          std::clamp(kMostPixels / (size.height * size.width), int64_t{1}, options_.batch));
      for (size_t first = 0; first < group.size(); first += most) {
        const std::span batch =
            std::span(group).subspan(first, std::min(most, group.size() - first));
        find_in_batch(pictures, size, batch, faces);
      }
    }
    return faces;
  }

  std::string description() const override {
    const std::string side =
        options_.long_side == 0 ? "" : text::format(", long side up to {}", options_.long_side);
    return text::format("{} from {}; score {:g}, overlap {:g}{}", loaded_.description, path_,
                        options_.score_threshold, options_.nms_threshold, side);
  }

 private:
  Size network_size(const Image& picture) const {
    VERACE_CHECK(picture.height > 0 && picture.width > 0);
    const int64_t longer = std::max(picture.height, picture.width);
    if (options_.long_side == 0 || longer <= options_.long_side) {
      return {picture.height, picture.width};
    }
    const auto scaled = [&](int64_t side) {
      const double exact = static_cast<double>(side) * static_cast<double>(options_.long_side) /
                           static_cast<double>(longer);
      return std::max<int64_t>(1, std::llround(exact));
    };
    return {scaled(picture.height), scaled(picture.width)};
  }

  void find_in_batch(std::span<const Image> pictures, const Size& size,
                     std::span<const size_t> batch, std::vector<std::vector<DetectedFace>>& faces) {
    pixels_.clear();
    for (const size_t i : batch) {
      const Image& picture = pictures[i];
      const bool fits = Size{picture.height, picture.width} == size;
      const Image resized =
          fits ? Image{}
               : data::resize(picture, size.height, size.width, data::ResizeFilter::kBilinear);
      const std::vector<uint8_t>& rgb = fits ? picture.rgb : resized.rgb;
      VERACE_CHECK(static_cast<int64_t>(rgb.size()) == size.height * size.width * 3);
      pixels_.insert(pixels_.end(), rgb.begin(), rgb.end());
    }
    layers::RetinaFaceStep& plan = plans_.at(static_cast<int64_t>(batch.size()), size);
    plan.step.write<uint8_t>(plan.pictures, pixels_);
    plan.step.run();
    std::array<std::vector<float>, 3> maps;
    for (size_t level = 0; level < maps.size(); ++level) {
      maps[level] = plan.step.read_f32(plan.maps[level]);
    }
    for (size_t i = 0; i < batch.size(); ++i) {
      FaceMaps one{size.height, size.width, {}};
      for (size_t level = 0; level < maps.size(); ++level) {
        const size_t count = maps[level].size() / batch.size();
        one.levels[level] = std::span(maps[level]).subspan(i * count, count);
      }
      const Image& picture = pictures[batch[i]];
      faces[batch[i]] = decode_faces(one, picture.height, picture.width, decoding_);
    }
  }

  LoadedFaceNetwork loaded_;
  std::string path_;
  FaceDetectorOptions options_;
  DecodingOptions decoding_;
  FacePlans plans_;
  std::vector<uint8_t> pixels_;  // of a batch
};

}  // namespace

std::unique_ptr<FaceFinder> open_face_detector(const std::filesystem::path& weights,
                                               const kernels::Exec& exec,
                                               const FaceDetectorOptions& options) {
  check_detector_options(options);
  return std::make_unique<Detector>(load_face_network(weights, options.slope), weights.string(),
                                    exec, options);
}

}  // namespace verace::apps
