// The small network, its statistics, and the faces.
#include "apps/lib/teaching_network.h"

#include <algorithm>

#include "data/dataset.h"
#include "data/faces/dataset.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "kernels/image.h"

namespace verace::apps {
namespace {

std::vector<uint8_t> draw(uint64_t seed, int64_t size, int64_t count) {
  std::vector<uint8_t> pixels;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t donor = i % 2 == 0 ? i : count + i;
    const data::Image face = data::faces::draw_face(seed, size, i, donor, 0).image;
    pixels.insert(pixels.end(), face.rgb.begin(), face.rgb.end());
  }
  return pixels;
}

}  // namespace

layers::ClassifierOptions teaching_options() {
  layers::ClassifierOptions options;
  options.backbone.stem_channels = 4;
  options.input_size = 64;
  options.head_hidden = 16;
  options.head_slope = 0.05;
  return options;
}

void take_statistics(layers::Classifier& network, uint64_t seed, const kernels::Exec& exec) {
  constexpr int64_t kFaces = 16;
  layers::RecalibrationStep t = network.plan_recalibration(
      exec, std::make_shared<engine::Arena>(), kFaces, layers::FrozenBatchNorm::kInference);
  const std::vector<uint8_t> faces = draw(seed, network.options().input_size, kFaces);
  t.step.write(t.pictures, std::span<const uint8_t>(faces));
  t.step.run();
}

std::unique_ptr<layers::Classifier> make_teaching_network(uint64_t seed,
                                                          const kernels::Exec& exec) {
  auto network = std::make_unique<layers::Classifier>(teaching_options());
  network->initialise_all(layers::Initialisation::kPyTorch, seed);
  network->table().move_to(engine::memory_of(exec));
  take_statistics(*network, seed, exec);
  return network;
}

std::vector<float> to_unit(const std::vector<uint8_t>& pixels, int64_t size) {
  const int64_t picture = size * size * 3;
  const auto count = static_cast<int64_t>(pixels.size()) / picture;
  VERACE_CHECK(count * picture == static_cast<int64_t>(pixels.size()));
  std::vector<float> unit(pixels.size());
  kernels::pixels_to_unit({}, {{count, size, size, 3}, pixels.data(), nullptr, unit.data()});
  return unit;
}

LabelledPictures draw_labelled_faces(uint64_t seed, int64_t size, int64_t count) {
  LabelledPictures faces;
  faces.count = count;
  faces.unit = to_unit(draw(seed, size, count), size);
  for (int64_t i = 0; i < count; ++i) {
    faces.labels.push_back(i % 2 == 0 ? data::kReal : data::kFake);
    faces.names.push_back(text::format("drawn face {} ({})", i, i % 2 == 0 ? "real" : "fake"));
  }
  return faces;
}

}  // namespace verace::apps
