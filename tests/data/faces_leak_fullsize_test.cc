// Nothing trivial tells drawn faces from drawn fakes: a linear model of the files' cues, which must
// find the leaks that are planted for it. 2400 faces, four times over: not under the sanitizers.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <numeric>
#include <vector>

#include "data/faces/dataset.h"
#include "kernels/parallel.h"
#include "tests/data/data_support.h"

using namespace verace;
using namespace verace::data;
using namespace verace::data::testing;

namespace {

// What can be said of a picture without looking at it: size of the file, sum of its quantisation
// tables, mean and standard deviation of each colour.
constexpr size_t kCues = 8;
using Cues = std::array<double, kCues>;

double quantisation(const ByteVector& file) {
  double sum = 0;
  for (size_t i = 2; i + 4 < file.size() && file[i] == std::byte{0xFF};) {
    const size_t length =
        std::to_integer<size_t>(file[i + 2]) * 256 + std::to_integer<size_t>(file[i + 3]);
    if (file[i + 1] == std::byte{0xDB}) {
      for (size_t k = i + 4; k < i + 2 + length; ++k) sum += std::to_integer<int>(file[k]);
    }
    if (file[i + 1] == std::byte{0xDA}) break;  // the picture itself
    i += 2 + length;
  }
  return sum;
}

Cues cues_of(const ByteVector& file) {
  Cues cues{static_cast<double>(file.size()), quantisation(file)};
  const Image image = decode_image(file, "drawn face");
  const auto pixels = static_cast<double>(image.height * image.width);
  for (size_t c = 0; c < 3; ++c) {
    double sum = 0;
    double squares = 0;
    for (size_t i = c; i < image.rgb.size(); i += 3) {
      sum += image.rgb[i];
      squares += static_cast<double>(image.rgb[i]) * image.rgb[i];
    }
    cues[2 + c] = sum / pixels;
    cues[5 + c] = std::sqrt(squares / pixels - cues[2 + c] * cues[2 + c]);
  }
  return cues;
}

struct LabelledCues {
  Cues cues;
  double label;
};

// Persons [first, first + count), each with a real frame and a fake one, the fake second.
std::vector<faces::DrawnFace> draw_persons(int64_t first, int64_t count) {
  std::vector<faces::DrawnFace> all(static_cast<size_t>(2 * count));
  kernels::parallel_for(
      kernels::make_exec(kernels::DeviceKind::kCpu, 2), 2 * count, [&](int64_t i) {
        const int64_t person = i / 2;
        const int64_t donor = i % 2 == 1 ? (person + 7) % count : person;
        all[static_cast<size_t>(i)] = faces::draw_face(5, 64, first + person, first + donor, 0);
      });
  return all;
}

// `leak` may change the fakes.
using Leak = std::function<void(faces::DrawnFace&)>;
std::vector<LabelledCues> cues_of_faces(std::vector<faces::DrawnFace> faces, const Leak& leak) {
  std::vector<LabelledCues> all;
  for (size_t i = 0; i < faces.size(); ++i) {
    faces::DrawnFace& face = faces[i];
    if (i % 2 == 1) leak(face);
    all.push_back({cues_of(encode_jpeg(face.image, face.jpeg_quality)), i % 2 == 1 ? 1.0 : 0.0});
  }
  return all;
}

// Scales every cue to mean 0 and standard deviation 1 of the training faces.
void standardise(std::vector<LabelledCues>& training, std::vector<LabelledCues>& unseen) {
  const auto n = static_cast<double>(training.size());
  for (size_t k = 0; k < kCues; ++k) {
    double mean = 0;
    for (const LabelledCues& face : training) mean += face.cues[k] / n;
    double variance = 0;
    for (const LabelledCues& face : training) {
      variance += (face.cues[k] - mean) * (face.cues[k] - mean) / n;
    }
    for (auto* faces : {&training, &unseen}) {
      for (LabelledCues& face : *faces) {
        face.cues[k] = (face.cues[k] - mean) / std::sqrt(variance + 1e-9);
      }
    }
  }
}

double logit(const Cues& cues, const std::array<double, kCues + 1>& weights) {
  return std::inner_product(cues.begin(), cues.end(), weights.begin(), weights[kCues]);
}

// Accuracy on `unseen` of a logistic regression that gradient descent fits to `training`.
double linear_accuracy(std::vector<LabelledCues> training, std::vector<LabelledCues> unseen) {
  standardise(training, unseen);
  std::array<double, kCues + 1> weights{};
  for (int step = 0; step < 1000; ++step) {
    std::array<double, kCues + 1> gradient{};
    for (const LabelledCues& face : training) {
      const double error = 1 / (1 + std::exp(-logit(face.cues, weights))) - face.label;
      for (size_t k = 0; k < kCues; ++k) gradient[k] += error * face.cues[k];
      gradient[kCues] += error;
    }
    for (size_t k = 0; k <= kCues; ++k) {
      weights[k] -= gradient[k] / static_cast<double>(training.size());
    }
  }
  double right = 0;
  for (const LabelledCues& face : unseen) {
    right += (logit(face.cues, weights) > 0) == (face.label > 0.5);
  }
  return right / static_cast<double>(unseen.size());
}

double accuracy_with(const Leak& leak) {
  static const std::vector<faces::DrawnFace> training = draw_persons(0, 400);
  static const std::vector<faces::DrawnFace> unseen = draw_persons(400, 800);
  return linear_accuracy(cues_of_faces(training, leak), cues_of_faces(unseen, leak));
}

}  // namespace

TEST_CASE("a linear model of trivial cues cannot tell the classes, but finds a planted leak") {
  const double honest = accuracy_with([](faces::DrawnFace&) {});
  MESSAGE("accuracy by trivial cues: ", honest);
  CHECK(honest > 0.45);
  CHECK(honest < 0.55);
  const double quality = accuracy_with([](faces::DrawnFace& face) { face.jpeg_quality -= 8; });
  MESSAGE("fakes of lower JPEG quality: ", quality);
  CHECK(quality > 0.55);
  const auto brighten = [](faces::DrawnFace& face) {
    for (uint8_t& value : face.image.rgb) value = static_cast<uint8_t>(std::min(255, value + 12));
  };
  const double brightness = accuracy_with(brighten);
  MESSAGE("brighter fakes: ", brightness);
  CHECK(brightness > 0.55);
  // Only the files become larger.
  const auto roughen = [](faces::DrawnFace& face) {
    for (size_t i = 0; i < face.image.rgb.size(); ++i) {
      const int step = i / 3 % 2 == 0 ? 4 : -4;
      face.image.rgb[i] = static_cast<uint8_t>(std::clamp(face.image.rgb[i] + step, 0, 255));
    }
  };
  const double size = accuracy_with(roughen);
  MESSAGE("rougher fakes: ", size);
  CHECK(size > 0.55);
}
